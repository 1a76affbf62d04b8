foreach(name wal record)
    narthex_fuzz(fuzz_${name} LIBS tsdb SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_${name}.c)
endforeach()
