#include "server/api_keys.h"

#include <algorithm>

#include "base/check.h"
#include "http/http_message.h"

namespace slipstream {

Status check_api_key(std::string_view key) {
  if (key.empty() || key.size() > kMostKeyBytes)
    return invalid("expected a key of 1 to {} characters, not of {}", kMostKeyBytes, key.size());
  const bool sendable = std::ranges::all_of(key, [](char c) { return c > ' ' && c < 0x7f; });
  if (!sendable) return invalid("expected a key of printable ASCII characters without spaces");
  return ok_status();
}

ApiKeys::ApiKeys(const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    const Status status = check_api_key(key);
    CHECK(status.ok(), "{}", status.error().message);
    keys_.push_back(padded(key));
  }
}

ApiKeys::PaddedKey ApiKeys::padded(std::string_view key) {
  PaddedKey made;
  std::ranges::copy(key, made.bytes.begin());
  return made;
}

std::optional<uint32_t> ApiKeys::find(std::string_view authorization) const {
  if (keys_.empty()) return 0;
  constexpr std::string_view kScheme = "Bearer ";
  if (authorization.size() <= kScheme.size()) return std::nullopt;
  if (!equal_ignoring_case(authorization.substr(0, kScheme.size()), kScheme)) return std::nullopt;
  const std::string_view key = authorization.substr(kScheme.size());
  if (!check_api_key(key).ok()) return std::nullopt;  // says nothing of ours: no key is like that
  const PaddedKey given = padded(key);
  std::optional<uint32_t> found;
  for (uint32_t number = 0; number < keys_.size(); ++number) {  // all of them, and all their bytes: no early way out
    unsigned difference = 0;
    for (size_t i = 0; i < kMostKeyBytes; ++i) {
      difference |= static_cast<unsigned char>(keys_[number].bytes[i] ^ given.bytes[i]);
    }
    if (difference == 0 && !found) found = number;
  }
  return found;
}

}  // namespace slipstream
