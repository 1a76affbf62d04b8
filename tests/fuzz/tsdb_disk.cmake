foreach(name chunk_xor chunk_histogram index tombstones head_chunks)
    narthex_fuzz(fuzz_${name} LIBS tsdb SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_${name}.c)
endforeach()
