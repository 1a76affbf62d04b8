narthex_stress(stress_base LIBS base SOURCES ${CMAKE_CURRENT_LIST_DIR}/stress_base.c)
