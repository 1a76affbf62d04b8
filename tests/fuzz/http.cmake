narthex_fuzz(fuzz_http_params LIBS http SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_http_params.c)
