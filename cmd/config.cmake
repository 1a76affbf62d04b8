# The configuration file and the command line, as the programs read them. A part that does not include its own
# config.cmake (remote/ is not built yet) has it included here.
foreach(part tsdb remote)
    if(NOT TARGET ${part}_config)
        include(${CMAKE_CURRENT_LIST_DIR}/../${part}/config.cmake)
    endif()
endforeach()
if(NOT TARGET web_config)
    include(${CMAKE_CURRENT_LIST_DIR}/../http/config.cmake)
endif()
add_library(cmd_config STATIC
    ${CMAKE_CURRENT_LIST_DIR}/config.c
    ${CMAKE_CURRENT_LIST_DIR}/config_expand.c
    ${CMAKE_CURRENT_LIST_DIR}/config_tracing.c)
target_link_libraries(cmd_config
    PUBLIC scrape_config rules_config tsdb_config remote_config
    PRIVATE product_options)
add_library(cmd_flags STATIC
    ${CMAKE_CURRENT_LIST_DIR}/flag_line.c
    ${CMAKE_CURRENT_LIST_DIR}/flags.c
    ${CMAKE_CURRENT_LIST_DIR}/flags_show.c
    ${CMAKE_CURRENT_LIST_DIR}/flags_table.c)
target_link_libraries(cmd_flags PUBLIC base PRIVATE product_options)
