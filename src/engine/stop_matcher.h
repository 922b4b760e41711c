// Finds the first of several strings in a text that arrives in pieces, wherever the pieces are cut.
// Knuth-Morris-Pratt: each byte is read once, so a long stop string cannot make tokens slow; nothing is allocated
// after construction.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace slipstream {

class StopMatcher {
 public:
  explicit StopMatcher(std::vector<std::string> stops);  // none empty

  struct Found {
    size_t end = 0;         // bytes of the piece up to the stop string's last byte, inclusive
    uint32_t num_bytes = 0; // of the stop string; may begin in an earlier piece
  };
  // Reads the next piece. The stop string that ends first (the longest of those that end there), if any; nothing is
  // read after one was found.
  std::optional<Found> read(std::string_view piece);

  // How many of the last bytes read may be the beginning of a stop string.
  uint32_t num_held() const;
  // num_held() is less than this.
  uint32_t longest() const { return longest_; }

 private:
  struct Stop {
    std::string text;
    std::vector<uint32_t> fallback;  // [text.size()]; longest proper prefix of text[0, i] that ends it as well
    uint32_t matched = 0;            // bytes of `text` that end what was read
  };
  std::vector<Stop> stops_;
  uint32_t longest_ = 0;
};

}  // namespace slipstream
