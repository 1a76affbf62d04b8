# The web configuration file.
add_library(web_config STATIC
    ${CMAKE_CURRENT_LIST_DIR}/web_auth.c
    ${CMAKE_CURRENT_LIST_DIR}/web_config.c
    ${CMAKE_CURRENT_LIST_DIR}/web_tls.c)
target_link_libraries(web_config PUBLIC base PRIVATE product_options PkgConfig::CRYPT)
