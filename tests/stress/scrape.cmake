narthex_stress(stress_scrape LIBS scrape SOURCES ${CMAKE_CURRENT_LIST_DIR}/stress_scrape.c
    ${CMAKE_SOURCE_DIR}/tests/scrape/fake_storage.c ${CMAKE_SOURCE_DIR}/tests/scrape/http_fake.c)
