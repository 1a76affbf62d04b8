# narthextool, what promtool is to Prometheus. Two of its parts are libraries of their own for their tests.
add_library(tool_line STATIC
    ${CMAKE_CURRENT_LIST_DIR}/tool_help.c
    ${CMAKE_CURRENT_LIST_DIR}/tool_line.c)
target_link_libraries(tool_line PUBLIC cmd_flags base PRIVATE product_options)

add_library(overlay_io STATIC ${CMAKE_CURRENT_LIST_DIR}/overlay_io.c)
target_link_libraries(overlay_io PUBLIC base PRIVATE product_options)

add_executable(narthextool
    ${CMAKE_CURRENT_LIST_DIR}/narthextool.c
    ${CMAKE_CURRENT_LIST_DIR}/tool_analyze.c
    ${CMAKE_CURRENT_LIST_DIR}/tool_check_config.c
    ${CMAKE_CURRENT_LIST_DIR}/tool_check_metrics.c
    ${CMAKE_CURRENT_LIST_DIR}/tool_check_rules.c
    ${CMAKE_CURRENT_LIST_DIR}/tool_check_sd.c
    ${CMAKE_CURRENT_LIST_DIR}/tool_dump.c
    ${CMAKE_CURRENT_LIST_DIR}/tool_http.c
    ${CMAKE_CURRENT_LIST_DIR}/tool_import.c
    ${CMAKE_CURRENT_LIST_DIR}/tool_junit.c
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
    PRIVATE tool_line overlay_io cmd_config web_config rules scrape discovery promql tsdb model base product_options
        PkgConfig::JANSSON)
set_target_properties(narthextool PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
