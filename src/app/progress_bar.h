// The line that grows on a terminal while a model is loaded.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace slipstream {

// "loading [#########                ] 36 %   35 of 97 MB   120 MB/s   1 s left"; no time left before there is a speed.
std::string progress_line(std::string_view label, uint64_t done_bytes, uint64_t total_bytes, double elapsed_s);

}  // namespace slipstream
