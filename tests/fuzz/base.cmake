foreach(name decimal proto gzip)
    narthex_fuzz(fuzz_${name} LIBS base SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_${name}.c)
endforeach()
