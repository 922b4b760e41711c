// A small file, read whole.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace slipstream {

// Error kNotFound when it is not there; kInvalid when it is no regular file or has more than max_bytes.
Result<std::string> read_text_file(const std::string& path, uint64_t max_bytes);

// Is there something of this name, of whatever kind? A link that leads nowhere is something: what it stands for is
// missing (a download that broke off), and opening it says so.
bool file_exists(const std::string& path);

}  // namespace slipstream
