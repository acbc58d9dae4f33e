# argon_library(NAME [SOURCES ...] [DEPS ...] [TESTS ...] [TEST_DEPS ...])
#   A static library argon_NAME of one folder, and, where TESTS are given, one GoogleTest
#   program NAME_test whose cases ctest knows as NAME.Suite.Case.
# argon_test(NAME SOURCES ... [DEPS ...])
#   A GoogleTest program by itself. Cases named *BadInput* are bad_input.NAME.Suite.Case to ctest.
# argon_program(NAME SOURCES ... [DEPS ...])
#   A program in bin/.
# argon_fuzz(NAME SOURCES ... [DEPS ...])
#   A libFuzzer target fuzz_NAME (only with ARGON_FUZZ), and the test fuzz.NAME, which runs it for
#   ARGON_FUZZ_SECONDS over the corpus kept in the build tree, beginning with fuzz/corpus/NAME.
# argon_cold(NAME)
#   What it does by itself need not be quick: tests, commands, reports. That it is built quickly counts more.
# argon_test_code(NAME)
#   Cold, and no code that a fuzz target should reach: its coverage is not told to the fuzzer.
# argon_separate(NAME)
#   Its files are compiled one by one, as those of a library are that name their private parts alike, where a
#   build else joins a library's files (CMAKE_UNITY_BUILD).

include(GoogleTest)

function(argon_separate name)
  set_target_properties(${name} PROPERTIES UNITY_BUILD OFF)
endfunction()

function(argon_cold name)
  target_compile_options(${name} PRIVATE $<$<CONFIG:RelWithDebInfo>:-O1>)
endfunction()

function(argon_test_code name)
  argon_cold(${name})
  if(ARGON_FUZZ)
    target_compile_options(${name} PRIVATE -fno-sanitize=fuzzer-no-link)
  endif()
endfunction()

function(argon_test name)
  cmake_parse_arguments(T "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${T_SOURCES})
  target_link_libraries(${name} PRIVATE ${T_DEPS} argon_test_main)
  argon_test_code(${name})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  gtest_discover_tests(${name} TEST_PREFIX "${name}." TEST_FILTER "-*BadInput*" DISCOVERY_MODE PRE_TEST
    PROPERTIES TIMEOUT 300)
  gtest_discover_tests(${name} TEST_PREFIX "bad_input.${name}." TEST_FILTER "*BadInput*" DISCOVERY_MODE PRE_TEST
    PROPERTIES TIMEOUT 300)
endfunction()

function(argon_library name)
  cmake_parse_arguments(L "" "" "SOURCES;DEPS;TESTS;TEST_DEPS" ${ARGN})
  if(L_SOURCES)
    add_library(argon_${name} STATIC ${L_SOURCES})
    target_link_libraries(argon_${name} PUBLIC ${L_DEPS})
  else()
    add_library(argon_${name} INTERFACE)
    target_link_libraries(argon_${name} INTERFACE ${L_DEPS})
  endif()
  if(L_TESTS)
    argon_test(${name}_test SOURCES ${L_TESTS} DEPS argon_${name} ${L_TEST_DEPS})
  endif()
endfunction()

function(argon_program name)
  cmake_parse_arguments(P "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${P_SOURCES})
  target_link_libraries(${name} PRIVATE ${P_DEPS})
endfunction()

function(argon_fuzz name)
  if(NOT ARGON_FUZZ)
    return()
  endif()
  cmake_parse_arguments(F "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(fuzz_${name} ${F_SOURCES})
  target_link_libraries(fuzz_${name} PRIVATE ${F_DEPS})
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  set_target_properties(fuzz_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
  set(corpus ${CMAKE_BINARY_DIR}/fuzz/corpus/${name})
  file(MAKE_DIRECTORY ${corpus} ${CMAKE_BINARY_DIR}/fuzz/artifacts)
  set(seeds)
  if(IS_DIRECTORY ${CMAKE_SOURCE_DIR}/fuzz/corpus/${name})
    set(seeds ${CMAKE_SOURCE_DIR}/fuzz/corpus/${name})
  endif()
  add_test(NAME fuzz.${name} COMMAND fuzz_${name} -max_total_time=${ARGON_FUZZ_SECONDS} -timeout=10
    -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix=${CMAKE_BINARY_DIR}/fuzz/artifacts/${name}-
    ${corpus} ${seeds})
  set_tests_properties(fuzz.${name} PROPERTIES LABELS fuzz TIMEOUT 600)
endfunction()
