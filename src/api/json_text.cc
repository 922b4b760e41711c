#include "api/json_text.h"

#include <algorithm>
#include <iterator>

namespace slipstream {
namespace {

// Length of the UTF-8 character that text begins with; 0: it is none (RFC 3629: nothing overlong, no surrogates, at
// most U+10FFFF).
size_t character_length(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto continues = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  if (byte(0) < 0x80) return 1;
  if (byte(0) >= 0xC2 && byte(0) <= 0xDF) return continues(1) ? 2 : 0;
  if (byte(0) >= 0xE0 && byte(0) <= 0xEF) {
    const bool good = !(byte(0) == 0xE0 && byte(1) < 0xA0) && !(byte(0) == 0xED && byte(1) >= 0xA0);
    return good && continues(1) && continues(2) ? 3 : 0;
  }
  if (byte(0) >= 0xF0 && byte(0) <= 0xF4) {
    const bool good = !(byte(0) == 0xF0 && byte(1) < 0x90) && !(byte(0) == 0xF4 && byte(1) >= 0x90);
    return good && continues(1) && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  size_t plain = 0;  // begin of the bytes that go as they are
  for (size_t i = 0; i < text.size(); ++i) {
    const unsigned char byte = static_cast<unsigned char>(text[i]);
    if (byte >= 0x80) {
      const size_t length = character_length(text.substr(i));
      if (length > 0) {
        i += length - 1;
        continue;
      }
    } else if (byte >= 0x20 && byte != '"' && byte != '\\') {
      continue;
    }
    out += text.substr(plain, i - plain);
    plain = i + 1;
    switch (byte) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        if (byte >= 0x80) out += "\xEF\xBF\xBD";  // U+FFFD
        else fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(byte));
    }
  }
  out += text.substr(plain);
  out += '"';
}

std::string json_string(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 2);
  append_json_string(out, text);
  return out;
}

bool is_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const size_t length = character_length(text.substr(i));
    if (length == 0) return false;
    i += length;
  }
  return true;
}

std::string shortened(std::string_view text) {
  constexpr size_t kMost = 60;
  size_t end = std::min(kMost, text.size());
  while (end > 0 && end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  std::string words(text.substr(0, end));
  const auto is_control = [](char byte) { return (byte >= 0 && byte < 0x20) || byte == 0x7f; };
  std::replace_if(words.begin(), words.end(), is_control, '?');
  return end < text.size() ? words + "..." : words;
}

}  // namespace slipstream
