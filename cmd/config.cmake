# The configuration file and the command line, as the programs read them. remote/ has no part of its own to build yet.
if(NOT TARGET remote_config)
    include(${CMAKE_CURRENT_LIST_DIR}/../remote/config.cmake)
endif()
add_library(cmd_config STATIC
    ${CMAKE_CURRENT_LIST_DIR}/config.c
    ${CMAKE_CURRENT_LIST_DIR}/config_expand.c
    ${CMAKE_CURRENT_LIST_DIR}/config_tracing.c)
target_link_libraries(cmd_config
    PUBLIC scrape_config rules_config tsdb_config remote_config
    PRIVATE product_options)
