# The *_sd_configs of configuration files.
add_library(discovery_config STATIC
    ${CMAKE_CURRENT_LIST_DIR}/discovery_config.c
    ${CMAKE_CURRENT_LIST_DIR}/sd_aws.c
    ${CMAKE_CURRENT_LIST_DIR}/sd_cloud.c
    ${CMAKE_CURRENT_LIST_DIR}/sd_cloud2.c
    ${CMAKE_CURRENT_LIST_DIR}/sd_cluster.c
    ${CMAKE_CURRENT_LIST_DIR}/sd_kubernetes.c)
target_link_libraries(discovery_config PUBLIC relabel_config PRIVATE product_options)
