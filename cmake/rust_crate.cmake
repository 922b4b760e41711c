# The Rust crate in rust/ as an interface library `rust_crate`, for the rooms digest and text.
#
# One target folder for all presets: the crate takes minutes and does not depend on them. Only the link steps wait for
# it (they name its archive as a file); a target dependency would make every C++ source above room text wait too.
find_program(CARGO_EXECUTABLE cargo HINTS $ENV{HOME}/.cargo/bin REQUIRED)

set(RUST_CRATE_TARGET ${CMAKE_SOURCE_DIR}/rust/target)
set(RUST_CRATE_ARCHIVE ${RUST_CRATE_TARGET}/release/libslipstream_rust.a)
set(RUST_CRATE_COMMAND ${CARGO_EXECUTABLE} build)
if(SLIPSTREAM_FUZZ_CRATE)
  # libFuzzer's counters also in the crate and what it brings along. --target: not in what runs while building.
  set(RUST_CRATE_TARGET ${RUST_CRATE_TARGET}/fuzz)
  set(RUST_CRATE_ARCHIVE ${RUST_CRATE_TARGET}/x86_64-unknown-linux-gnu/release/libslipstream_rust.a)
  string(CONCAT RUST_CRATE_FLAGS "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 "
                "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table "
                "-Cllvm-args=-sanitizer-coverage-trace-compares")
  set(RUST_CRATE_COMMAND ${CMAKE_COMMAND} -E env "RUSTFLAGS=${RUST_CRATE_FLAGS}" ${CARGO_EXECUTABLE} build
                         --target x86_64-unknown-linux-gnu)
endif()
file(GLOB RUST_CRATE_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/rust/src/*.rs)

add_custom_command(
  OUTPUT ${RUST_CRATE_ARCHIVE}
  COMMAND ${RUST_CRATE_COMMAND} --release --locked --quiet --target-dir ${RUST_CRATE_TARGET}
          --manifest-path ${CMAKE_SOURCE_DIR}/rust/Cargo.toml
  DEPENDS ${RUST_CRATE_SOURCES} ${CMAKE_SOURCE_DIR}/rust/Cargo.toml ${CMAKE_SOURCE_DIR}/rust/Cargo.lock
  COMMENT "Building the Rust crate (cargo; minutes the first time)"
  VERBATIM)
add_custom_target(rust_crate_archive ALL DEPENDS ${RUST_CRATE_ARCHIVE})

add_library(rust_crate INTERFACE)
target_link_libraries(rust_crate INTERFACE ${RUST_CRATE_ARCHIVE} dl m Threads::Threads)
