narthex_fuzz(fuzz_text LIBS scrape SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_text.c)
narthex_fuzz(fuzz_openmetrics LIBS scrape SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_openmetrics.c)
narthex_fuzz(fuzz_protobuf_page LIBS scrape SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_protobuf_page.c)
narthex_fuzz(fuzz_file_sd LIBS discovery SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_file_sd.c)
