// Text from a file, made safe for a one-line message: 'name', control bytes as \x0a, long text cut.
#pragma once

#include <string>
#include <string_view>

namespace slipstream {

std::string in_quotes(std::string_view text);

}  // namespace slipstream
