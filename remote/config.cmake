# The sections remote_write, remote_read and otlp of configuration files.
add_library(remote_config STATIC ${CMAKE_CURRENT_LIST_DIR}/azuread_config.c ${CMAKE_CURRENT_LIST_DIR}/remote_config.c)
target_link_libraries(remote_config PUBLIC relabel_config rules_config PRIVATE product_options)
