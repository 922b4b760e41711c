// The name of a repository on the Hugging Face hub, as people type it: "org/name", "org/name@revision",
// "org/name:Q8_0" (of several .gguf files the one whose name has this in it).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace slipstream {

struct HubName {
  std::string repository;         // "org/name"
  std::string revision = "main";  // a branch, a tag, or a commit
  std::string file_part;          // "": none was given
};

// The hub's own rules, for each of org and name: letters, digits, '_', '-' and '.', the last two neither first nor last
// nor twice in a row; at most 96 characters in all; no ".git" at the end. A name that keeps them cannot lead out of the
// cache's folder. Absent: the text is no such name.
std::optional<HubName> parse_hub_name(std::string_view text);

}  // namespace slipstream
