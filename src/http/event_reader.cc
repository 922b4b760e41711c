#include "http/event_reader.h"

#include <utility>

namespace slipstream {

std::optional<std::string> EventReader::next() {
  constexpr std::string_view kData = "data:";
  while (const auto line = next_line()) {
    if (line->empty()) {
      if (std::exchange(has_data_, false)) return std::exchange(data_, {});
    } else if (line->starts_with(kData)) {
      std::string_view value = line->substr(kData.size());
      if (value.starts_with(' ')) value.remove_prefix(1);
      if (std::exchange(has_data_, true)) data_ += '\n';
      data_ += value;
    }
  }
  return std::nullopt;
}

std::optional<std::string_view> EventReader::next_line() {
  const size_t end = received_.find('\n', searched_);
  if (end == std::string::npos) {
    received_.erase(0, taken_);
    taken_ = 0;
    searched_ = received_.size();
    return std::nullopt;
  }
  std::string_view line = std::string_view(received_).substr(taken_, end - taken_);
  if (line.ends_with('\r')) line.remove_suffix(1);
  taken_ = searched_ = end + 1;
  return line;
}

}  // namespace slipstream
