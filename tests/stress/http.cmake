narthex_stress(stress_http LIBS http http_client_raw SOURCES ${CMAKE_CURRENT_LIST_DIR}/stress_http.c)
