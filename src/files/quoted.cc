#include "files/quoted.h"

#include <fmt/format.h>

namespace slipstream {

std::string in_quotes(std::string_view text) {
  constexpr size_t kShown = 120;  // of a name; the rest tells a reader nothing more
  std::string out = "'";
  for (const char c : text.substr(0, kShown)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  if (text.size() > kShown) out += "...";
  return out + "'";
}

}  // namespace slipstream
