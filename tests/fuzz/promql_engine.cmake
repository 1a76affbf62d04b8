if(TARGET promql)
    narthex_fuzz(fuzz_promql_eval
        LIBS promql
        SOURCES fuzz_promql_eval.c ${CMAKE_SOURCE_DIR}/tests/promql/mem_storage.c)
    target_include_directories(fuzz_promql_eval PRIVATE ${CMAKE_SOURCE_DIR}/tests/promql)
endif()
