narthex_fuzz(fuzz_conf LIBS cmd_config SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_conf.c)
