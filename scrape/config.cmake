# global, scrape_configs and scrape_config_files of configuration files.
add_library(scrape_config STATIC ${CMAKE_CURRENT_LIST_DIR}/scrape_config.c)
target_link_libraries(scrape_config PUBLIC discovery_config PRIVATE product_options)
