narthex_bench(bench_promql LIBS promql SOURCES bench_promql.c)
target_sources(bench_promql PRIVATE ${CMAKE_SOURCE_DIR}/tests/promql/mem_storage.c)
target_include_directories(bench_promql PRIVATE ${CMAKE_SOURCE_DIR}/tests/promql)
