if(TARGET server)
    narthex_stress(stress_server LIBS server http http_client_raw
        SOURCES ${CMAKE_CURRENT_LIST_DIR}/stress_server.c)
endif()
