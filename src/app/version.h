// The program's version: project(VERSION) in CMakeLists.txt.
#pragma once

namespace slipstream {

inline constexpr const char* kVersion = SLIPSTREAM_VERSION;

}  // namespace slipstream
