narthex_bench(make_data LIBS tsdb SOURCES make_data.c)
