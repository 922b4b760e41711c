# use_common_headers(TARGET OWNER): its sources begin with what OWNER has precompiled, where SLIPSTREAM_PRECOMPILE asks
# for that: a third of a build's time is the reading of the same headers. ./test asks for all sources but in the release
# build, which shows that each source of the rooms names what it needs: there only for what compile_quickly() names.
function(use_common_headers TARGET OWNER)
  target_precompile_headers(${TARGET} REUSE_FROM ${OWNER})
  # Through a precompiled header gcc 12 warns of what is in the library's own (GCC bug 105651).
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${TARGET} PRIVATE -Wno-array-bounds -Wno-restrict -Wno-stringop-overflow)
  endif()
endfunction()

# compile_quickly(TARGET OWNER): for what does not run often enough to be worth the compiler's time; OWNER's headers.
set(quick_build $<$<CONFIG:Release>:-O1> $<$<CONFIG:RelWithDebInfo>:-O0>)
function(compile_quickly TARGET OWNER)
  target_compile_options(${TARGET} PRIVATE ${quick_build})
  if(SLIPSTREAM_PRECOMPILE)
    use_common_headers(${TARGET} ${OWNER})
  endif()
endfunction()

# precompile(OWNER header...): what use_common_headers() names.
function(precompile OWNER)
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/${OWNER}.cc CONTENT "")
  add_library(${OWNER} STATIC EXCLUDE_FROM_ALL ${CMAKE_BINARY_DIR}/${OWNER}.cc)
  target_link_libraries(${OWNER} PUBLIC fmt::fmt Threads::Threads)
  target_precompile_headers(${OWNER} PRIVATE ${ARGN})
endfunction()

# add_room(NAME [QUICK] [LONG_TESTS] DEPS room... [LINK library...]): one floor plan entry = one directory src/NAME =
# one library.
#
# Every src/NAME/*.cc is part of the room except main.cc and *_test.cc; the latter together form the test program
# NAME_test. The include path is src/ for everybody; that a room includes only from the rooms it names is checked by
# tests/tidy, which reads the list that write_floor_plan() leaves (build/PRESET/rooms.txt). QUICK: compile_quickly().
# LONG_TESTS: see discover_tests().
define_property(GLOBAL PROPERTY SLIPSTREAM_ROOMS BRIEF_DOCS "lines 'room: dep dep' for tests/tidy")

function(add_room NAME)
  cmake_parse_arguments(ROOM "QUICK;LONG_TESTS" "" "DEPS;LINK;TEST_LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${NAME}/*.cc)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "(_test|/main)\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(JOIN ROOM_DEPS " " deps)
  set_property(GLOBAL APPEND PROPERTY SLIPSTREAM_ROOMS "${NAME}: ${deps}")

  if(sources)
    add_library(${NAME} STATIC ${sources})
    target_include_directories(${NAME} PUBLIC ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(${NAME} PUBLIC ${ROOM_DEPS} fmt::fmt PRIVATE ${ROOM_LINK} Threads::Threads)
    if(ROOM_QUICK)
      compile_quickly(${NAME} quick_common_headers)
    elseif(SLIPSTREAM_PRECOMPILE STREQUAL "ON")
      use_common_headers(${NAME} common_headers)
    endif()
  else()
    add_library(${NAME} INTERFACE)
    target_include_directories(${NAME} INTERFACE ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(${NAME} INTERFACE ${ROOM_DEPS} fmt::fmt ${ROOM_LINK} Threads::Threads)
  endif()

  tests_wanted(${NAME} wanted)
  if(tests AND wanted)
    add_executable(${NAME}_test ${tests})
    target_link_libraries(${NAME}_test PRIVATE ${NAME} ${ROOM_TEST_LINK} GTest::gtest GTest::gtest_main
                          Threads::Threads)
    target_compile_definitions(${NAME}_test PRIVATE SLIPSTREAM_TEST_DATA="${CMAKE_SOURCE_DIR}/tests/data")
    set(SLIPSTREAM_DISCOVER ON)
    set(long)
    if(ROOM_LONG_TESTS)
      set(long LONG)
    endif()
    discover_tests(${NAME}_test ${long} LABELS ${NAME})
  endif()
endfunction()

# tests_wanted(NAME result): are the tests of this room, or of this folder of tests/, part of this build?
function(tests_wanted NAME RESULT)
  set(${RESULT} OFF PARENT_SCOPE)
  if(SLIPSTREAM_TESTS AND (NOT SLIPSTREAM_TEST_ONLY OR NAME IN_LIST SLIPSTREAM_TEST_ONLY))
    set(${RESULT} ON PARENT_SCOPE)
  endif()
endfunction()

# discover_tests(PROGRAM [LONG] [property value...]): every TEST() of a GoogleTest program becomes one test of ctest.
# The target test_programs builds what has been discovered, and nothing else. What is tested stays as it is compiled;
# the program's own sources are compiled for quick builds, which is a third of their time. LONG: they compute so much
# by themselves that under a sanitizer they are optimised all the same.
add_custom_target(test_programs)
function(discover_tests PROGRAM)
  cmake_parse_arguments(TESTS "LONG" "" "" ${ARGN})
  if(NOT TESTS_LONG OR CMAKE_BUILD_TYPE STREQUAL "Release")
    compile_quickly(${PROGRAM} test_common_headers)
  elseif(SLIPSTREAM_PRECOMPILE STREQUAL "ON")
    use_common_headers(${PROGRAM} common_headers)
  endif()
  if(SLIPSTREAM_DISCOVER)
    add_dependencies(test_programs ${PROGRAM})
    gtest_discover_tests(${PROGRAM} TEST_PREFIX "${SLIPSTREAM_TEST_PREFIX}" TEST_FILTER "${SLIPSTREAM_TEST_FILTER}"
                         PROPERTIES TIMEOUT 900 ${TESTS_UNPARSED_ARGUMENTS} DISCOVERY_TIMEOUT 60)
  endif()
endfunction()

# script_test(NAME label command...): a test that is a command. 77 from it means skipped.
function(script_test NAME LABEL)
  if(SLIPSTREAM_DISCOVER)
    add_test(NAME "${SLIPSTREAM_TEST_PREFIX}${NAME}" COMMAND ${ARGN})
    set_tests_properties("${SLIPSTREAM_TEST_PREFIX}${NAME}" PROPERTIES LABELS ${LABEL} TIMEOUT 900 SKIP_RETURN_CODE 77)
  endif()
endfunction()

# write_floor_plan(FILE): one line per room, "name: the rooms it may include from".
function(write_floor_plan FILE)
  get_property(rooms GLOBAL PROPERTY SLIPSTREAM_ROOMS)
  list(JOIN rooms "\n" text)
  file(CONFIGURE OUTPUT ${FILE} CONTENT "${text}\n")
endfunction()
