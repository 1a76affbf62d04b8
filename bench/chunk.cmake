# Encoding and decoding XOR chunks.
narthex_bench(bench_chunk LIBS tsdb SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/bench_chunk.c)
