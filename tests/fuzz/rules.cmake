narthex_fuzz(fuzz_alert_state LIBS rules SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_alert_state.c)
