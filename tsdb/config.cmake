# The section storage of configuration files.
add_library(tsdb_config STATIC ${CMAKE_CURRENT_LIST_DIR}/tsdb_config.c)
target_link_libraries(tsdb_config PUBLIC base PRIVATE product_options)
