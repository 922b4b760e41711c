# The Rust crate in rust/ as an interface library `text_crate`, for room text alone.
#
# One target folder for all presets: the crate takes minutes and does not depend on them. Only the link steps wait for
# it (they name its archive as a file); a target dependency would make every C++ source above room text wait too.
find_program(CARGO_EXECUTABLE cargo HINTS $ENV{HOME}/.cargo/bin REQUIRED)

set(TEXT_CRATE_TARGET ${CMAKE_SOURCE_DIR}/rust/target)
set(TEXT_CRATE_ARCHIVE ${TEXT_CRATE_TARGET}/release/libslipstream_text.a)
file(GLOB TEXT_CRATE_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/rust/src/*.rs)

add_custom_command(
  OUTPUT ${TEXT_CRATE_ARCHIVE}
  COMMAND ${CARGO_EXECUTABLE} build --release --locked --quiet --target-dir ${TEXT_CRATE_TARGET}
          --manifest-path ${CMAKE_SOURCE_DIR}/rust/Cargo.toml
  DEPENDS ${TEXT_CRATE_SOURCES} ${CMAKE_SOURCE_DIR}/rust/Cargo.toml ${CMAKE_SOURCE_DIR}/rust/Cargo.lock
  COMMENT "Building the text crate (cargo; minutes the first time)"
  VERBATIM)
add_custom_target(text_crate_archive ALL DEPENDS ${TEXT_CRATE_ARCHIVE})

add_library(text_crate INTERFACE)
target_link_libraries(text_crate INTERFACE ${TEXT_CRATE_ARCHIVE} dl m Threads::Threads)
