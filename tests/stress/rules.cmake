narthex_stress(stress_rules LIBS rules tsdb SOURCES ${CMAKE_CURRENT_LIST_DIR}/stress_rules.c)
