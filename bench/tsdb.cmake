# The storage by itself: appending, replay after a kill, memory per series, selecting.
narthex_bench(bench_tsdb LIBS tsdb SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/bench_tsdb.c)
