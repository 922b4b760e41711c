# add_room(NAME DEPS room... [LINK library...]): one floor plan entry = one directory src/NAME = one static library.
#
# Every src/NAME/*.cc is part of the room except *_test.cc, which together form the test program NAME_test. A room sees
# exactly the rooms it names, because the include path carries `src/` for all but tests/tidy checks each #include against
# the list written by this function (build/rooms.txt).
define_property(GLOBAL PROPERTY SLIPSTREAM_ROOMS BRIEF_DOCS "lines 'room: dep dep' for the tidy test")

function(add_room NAME)
  cmake_parse_arguments(ROOM "" "" "DEPS;LINK;TEST_LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${NAME}/*.cc)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  set_property(GLOBAL APPEND PROPERTY SLIPSTREAM_ROOMS "${NAME}: ${ROOM_DEPS}")

  if(sources)
    add_library(${NAME} STATIC ${sources})
    target_include_directories(${NAME} PUBLIC ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(${NAME} PUBLIC ${ROOM_DEPS} fmt::fmt PRIVATE ${ROOM_LINK} Threads::Threads)
  else()
    add_library(${NAME} INTERFACE)
    target_include_directories(${NAME} INTERFACE ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(${NAME} INTERFACE ${ROOM_DEPS} fmt::fmt ${ROOM_LINK} Threads::Threads)
  endif()

  if(tests AND SLIPSTREAM_TESTS)
    add_executable(${NAME}_test ${tests})
    target_link_libraries(${NAME}_test PRIVATE ${NAME} ${ROOM_TEST_LINK} GTest::gtest GTest::gtest_main Threads::Threads)
    target_compile_definitions(${NAME}_test PRIVATE SLIPSTREAM_TEST_DATA="${CMAKE_SOURCE_DIR}/tests/data")
    gtest_discover_tests(${NAME}_test PROPERTIES LABELS ${NAME} DISCOVERY_TIMEOUT 60)
  endif()
endfunction()
