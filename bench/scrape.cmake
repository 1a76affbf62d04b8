narthex_bench(load_generator LIBS base SOURCES ${CMAKE_CURRENT_LIST_DIR}/load_generator.c)
narthex_bench(scrape_page LIBS scrape SOURCES ${CMAKE_CURRENT_LIST_DIR}/scrape_page.c)
narthex_bench(scrape_path LIBS scrape tsdb SOURCES ${CMAKE_CURRENT_LIST_DIR}/scrape_path.c)
