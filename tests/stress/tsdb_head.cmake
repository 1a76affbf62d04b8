narthex_stress(stress_db LIBS tsdb SOURCES ${CMAKE_CURRENT_LIST_DIR}/stress_db.c)
