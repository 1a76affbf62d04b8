if(TARGET promql)
    narthex_stress(stress_promql
        LIBS promql
        SOURCES stress_promql.c ${CMAKE_SOURCE_DIR}/tests/promql/mem_storage.c)
    target_include_directories(stress_promql PRIVATE ${CMAKE_SOURCE_DIR}/tests/promql)
endif()
