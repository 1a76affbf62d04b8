# The parts of configuration files that stand on the data model.
add_library(relabel_config STATIC ${CMAKE_CURRENT_LIST_DIR}/relabel_config.c)
target_link_libraries(relabel_config PUBLIC model PRIVATE product_options)
