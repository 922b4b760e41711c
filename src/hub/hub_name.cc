#include "hub/hub_name.h"

#include <algorithm>

namespace slipstream {
namespace {

constexpr size_t kMaxRepositoryLength = 96;  // huggingface_hub, validate_repo_id
constexpr size_t kMaxPartLength = 200;       // of a revision or a part of a file's name: longer than any seen

bool is_word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; }
bool is_name_character(char c) { return is_word(c) || c == '-' || c == '.'; }

bool is_plain(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_name_character) &&
         text.find("..") == std::string_view::npos;
}

bool is_name(std::string_view text) {
  return is_plain(text) && is_word(text.front()) && is_word(text.back()) && text.find("--") == std::string_view::npos;
}

bool is_repository(std::string_view text) {
  const size_t slash = text.find('/');
  return slash != std::string_view::npos && text.size() <= kMaxRepositoryLength && is_name(text.substr(0, slash)) &&
         is_name(text.substr(slash + 1)) && !text.ends_with(".git");
}

// A branch may have slashes ("refs/pr/3").
bool is_revision(std::string_view text) {
  if (text.size() > kMaxPartLength || text.starts_with('-')) return false;
  while (true) {
    const size_t slash = text.find('/');
    const std::string_view part = text.substr(0, slash);
    if (!is_plain(part) || part == ".") return false;
    if (slash == std::string_view::npos) return true;
    text.remove_prefix(slash + 1);
  }
}

}  // namespace

std::optional<HubName> parse_hub_name(std::string_view text) {
  HubName name;
  if (const size_t colon = text.find(':'); colon != std::string_view::npos) {
    name.file_part = text.substr(colon + 1);
    if (!is_plain(name.file_part) || name.file_part.size() > kMaxPartLength) return std::nullopt;
    text = text.substr(0, colon);
  }
  if (const size_t at = text.find('@'); at != std::string_view::npos) {
    name.revision = text.substr(at + 1);
    if (!is_revision(name.revision)) return std::nullopt;
    text = text.substr(0, at);
  }
  if (!is_repository(text)) return std::nullopt;
  name.repository = text;
  return name;
}

}  // namespace slipstream
