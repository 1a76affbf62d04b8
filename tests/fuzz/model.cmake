narthex_fuzz(fuzz_relabel LIBS model SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_relabel.c)
