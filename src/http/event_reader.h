// An event stream (text/event-stream) as it comes -> the data of its events. Lines end with \n or \r\n. Knows no
// sockets.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace slipstream {

class EventReader {
 public:
  void add(std::string_view bytes) { received_ += bytes; }
  // The data of the next event that is whole: its data lines, joined by \n. Comments and other fields are passed over,
  // and so is an event without data.
  std::optional<std::string> next();

 private:
  // The next line without its end; nullopt: it is not whole.
  std::optional<std::string_view> next_line();

  std::string received_;
  size_t taken_ = 0;    // of it
  size_t searched_ = 0; // of it: no line ends between the two
  std::string data_;    // of the event that has begun
  bool has_data_ = false;
};

}  // namespace slipstream
