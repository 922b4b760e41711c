// A file of API keys, one a line.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace slipstream {

// Appends the file's keys; empty lines, and those that begin with '#', are none. Spaces around a key are no part of it.
// Refused: a file without keys, a key that check_api_key() refuses (its line is named, never the key), a file that
// others may write. A file that others may read is taken with a warning: secrets that a container is given often are
// like that.
Status read_api_key_file(const std::string& path, std::vector<std::string>& keys, std::vector<std::string>& warnings);

}  // namespace slipstream
