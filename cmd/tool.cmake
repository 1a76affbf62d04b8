# narthextool, what promtool is to Prometheus. The command line is a library of its own for its tests.
add_library(tool_line STATIC
    ${CMAKE_CURRENT_LIST_DIR}/tool_help.c
    ${CMAKE_CURRENT_LIST_DIR}/tool_line.c)
target_link_libraries(tool_line PUBLIC cmd_flags base PRIVATE product_options)

add_executable(narthextool
    ${CMAKE_CURRENT_LIST_DIR}/narthextool.c
    ${CMAKE_CURRENT_LIST_DIR}/overlay_io.c
    ${CMAKE_CURRENT_LIST_DIR}/tool_analyze.c
    ${CMAKE_CURRENT_LIST_DIR}/tool_check_config.c
    ${CMAKE_CURRENT_LIST_DIR}/tool_check_metrics.c
    ${CMAKE_CURRENT_LIST_DIR}/tool_check_rules.c
    ${CMAKE_CURRENT_LIST_DIR}/tool_dump.c
    ${CMAKE_CURRENT_LIST_DIR}/tool_http.c
    ${CMAKE_CURRENT_LIST_DIR}/tool_import.c
    ${CMAKE_CURRENT_LIST_DIR}/tool_promql.c
    ${CMAKE_CURRENT_LIST_DIR}/tool_query.c
    ${CMAKE_CURRENT_LIST_DIR}/tool_query_print.c
    ${CMAKE_CURRENT_LIST_DIR}/tool_suite.c
    ${CMAKE_CURRENT_LIST_DIR}/tool_test_file.c
    ${CMAKE_CURRENT_LIST_DIR}/tool_test_rules.c
    ${CMAKE_CURRENT_LIST_DIR}/tool_test_text.c
    ${CMAKE_CURRENT_LIST_DIR}/tool_text.c
    ${CMAKE_CURRENT_LIST_DIR}/tool_tsdb.c)
target_link_libraries(narthextool
    PRIVATE tool_line cmd_config web_config rules scrape discovery promql tsdb model base product_options
        PkgConfig::JANSSON)
set_target_properties(narthextool PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
