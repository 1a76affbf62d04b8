narthex_fuzz(fuzz_promql LIBS promql_lang SOURCES fuzz_promql.c)
narthex_fuzz(fuzz_series LIBS promql_lang SOURCES fuzz_series.c)
