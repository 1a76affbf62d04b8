# The section alerting of configuration files, and rule files.
add_library(rules_config STATIC ${CMAKE_CURRENT_LIST_DIR}/rules_config.c)
target_link_libraries(rules_config PUBLIC discovery_config PRIVATE product_options)
add_library(rule_file STATIC ${CMAKE_CURRENT_LIST_DIR}/rule_file.c)
target_link_libraries(rule_file PUBLIC base model promql_lang rules_template PRIVATE product_options)
