# Flags and libraries that every part shares, and the helpers that declare tests and fuzz targets.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON) # gnu17
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

# The optimised build keeps symbols and assertions: an assertion that is too dear is a debug one.
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g")

add_library(build_options INTERFACE)
target_include_directories(build_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_definitions(build_options INTERFACE _GNU_SOURCE)
# Contraction would fuse a*b+c on some CPUs only, and results must not depend on the machine.
target_compile_options(build_options INTERFACE
    -ffp-contract=off -fno-omit-frame-pointer -Wall -Wextra -Wshadow -Wvla -Wno-unused-parameter
    $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes -Wmissing-prototypes>
    $<$<BOOL:${NARTHEX_WERROR}>:-Werror>)
target_link_libraries(build_options INTERFACE Threads::Threads m)
if(NARTHEX_SANITIZE)
    target_compile_options(build_options INTERFACE
        -fsanitize=${NARTHEX_SANITIZE} -fno-sanitize-recover=all)
    target_link_options(build_options INTERFACE -fsanitize=${NARTHEX_SANITIZE})
endif()

# The product's own code is also held to -Wconversion; tests are not.
add_library(product_options INTERFACE)
target_link_libraries(product_options INTERFACE build_options)
target_compile_options(product_options INTERFACE $<$<COMPILE_LANGUAGE:C>:-Wconversion -Wno-sign-conversion>)

function(narthex_pkg target package)
    pkg_check_modules(${target} REQUIRED IMPORTED_TARGET GLOBAL ${package})
endfunction()
narthex_pkg(MICROHTTPD libmicrohttpd)
narthex_pkg(CURL libcurl)
narthex_pkg(XXHASH libxxhash)
narthex_pkg(YAML yaml-0.1)
narthex_pkg(RE2 re2)
narthex_pkg(ZLIB zlib)
narthex_pkg(DEFLATE libdeflate)
narthex_pkg(ZSTD libzstd)
narthex_pkg(CRYPT libxcrypt)
narthex_pkg(JANSSON jansson)
narthex_pkg(CARES libcares)
narthex_pkg(NETTLE nettle)
narthex_pkg(GNUTLS gnutls)
find_library(SNAPPY_LIBRARY snappy REQUIRED)
find_path(SNAPPY_INCLUDE snappy-c.h REQUIRED)
if(NOT NARTHEX_SANITIZE)
    narthex_pkg(JEMALLOC jemalloc)
endif()

if(NARTHEX_TESTS)
    narthex_pkg(CRITERION criterion)
endif()

# narthex_test(<name> LIBS part... SOURCES file... [DEFS def...])
# One Criterion program. A sanitizer's word on any line fails the test: Criterion alone would pass it.
function(narthex_test name)
    cmake_parse_arguments(T "" "" "LIBS;SOURCES;DEFS" ${ARGN})
    add_executable(${name} ${T_SOURCES})
    target_link_libraries(${name} PRIVATE ${T_LIBS} build_options PkgConfig::CRITERION)
    target_compile_definitions(${name} PRIVATE
        TEST_DATA_DIR="${CMAKE_SOURCE_DIR}/tests/data" SOURCE_DIR="${CMAKE_SOURCE_DIR}" ${T_DEFS})
    add_test(NAME ${name} COMMAND ${name} --jobs 2)
    set_tests_properties(${name} PROPERTIES
        FAIL_REGULAR_EXPRESSION "Sanitizer:;runtime error:" LABELS unit TIMEOUT 600)
endfunction()

# narthex_program_test(<name> LIBS part... SOURCES file...): a plain program; exit status 0 passes, 77 skips.
function(narthex_program_test name)
    cmake_parse_arguments(T "" "" "LIBS;SOURCES;DEFS;ARGS" ${ARGN})
    add_executable(${name} ${T_SOURCES})
    target_link_libraries(${name} PRIVATE ${T_LIBS} build_options)
    target_compile_definitions(${name} PRIVATE
        TEST_DATA_DIR="${CMAKE_SOURCE_DIR}/tests/data" SOURCE_DIR="${CMAKE_SOURCE_DIR}" ${T_DEFS})
    add_test(NAME ${name} COMMAND ${name} ${T_ARGS})
    set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77
        FAIL_REGULAR_EXPRESSION "Sanitizer:;runtime error:" LABELS program TIMEOUT 600)
endfunction()

# narthex_fuzz(<name> LIBS part... SOURCES file...): LLVMFuzzerTestOneInput in the sources. Built with gcc it
# replays tests/fuzz/corpus/<name>/ as an ordinary test; with clang and NARTHEX_FUZZ it is a libFuzzer program.
function(narthex_fuzz name)
    cmake_parse_arguments(T "" "" "LIBS;SOURCES" ${ARGN})
    if(NARTHEX_FUZZ)
        add_executable(${name} ${T_SOURCES})
        target_link_options(${name} PRIVATE -fsanitize=fuzzer)
        add_dependencies(fuzz_programs ${name})
    else()
        add_executable(${name} ${T_SOURCES} ${CMAKE_SOURCE_DIR}/tests/fuzz/replay.c)
        add_test(NAME ${name} COMMAND ${name} ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name})
        set_tests_properties(${name} PROPERTIES
            FAIL_REGULAR_EXPRESSION "Sanitizer:;runtime error:" LABELS fuzz TIMEOUT 300)
    endif()
    target_link_libraries(${name} PRIVATE ${T_LIBS} build_options)
endfunction()
