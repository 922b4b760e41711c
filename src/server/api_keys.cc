#include "server/api_keys.h"

#include <cstddef>

#include "http/http_message.h"

namespace slipstream {
namespace {

// Looks at every byte of `given`, whatever it is; only its length, which the client knows, decides how long it takes.
bool equal_in_constant_time(std::string_view key, std::string_view given) {
  unsigned difference = key.size() == given.size() ? 0u : 1u;
  for (size_t i = 0; i < given.size(); ++i) {
    const char expected = key.empty() ? '\0' : key[i % key.size()];
    difference |= static_cast<unsigned char>(expected ^ given[i]);
  }
  return difference == 0;
}

}  // namespace

bool ApiKeys::admit(std::string_view authorization) const {
  if (keys_.empty()) return true;
  constexpr std::string_view kScheme = "Bearer ";
  if (authorization.size() <= kScheme.size()) return false;
  if (!equal_ignoring_case(authorization.substr(0, kScheme.size()), kScheme)) return false;
  const std::string_view given = authorization.substr(kScheme.size());
  bool admitted = false;
  for (const std::string& key : keys_) admitted |= equal_in_constant_time(key, given);  // all of them: no early way out
  return admitted;
}

}  // namespace slipstream
