#include "http/event_reader.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace slipstream {
namespace {

std::vector<std::string> read(const std::string& bytes, size_t piece) {
  std::vector<std::string> events;
  EventReader reader;
  for (size_t at = 0; at < bytes.size(); at += piece) {
    reader.add(std::string_view(bytes).substr(at, piece));
    while (auto event = reader.next()) events.push_back(std::move(*event));
  }
  return events;
}

using Events = std::vector<std::string>;

TEST(EventReader, gives_each_event_once_however_the_bytes_are_cut) {
  const std::string bytes = "data: one\n\ndata:two\r\n\r\n: a comment\n\nevent: x\nid: 7\ndata: three\ndata:  more\n\n";
  for (size_t piece = 1; piece <= bytes.size(); ++piece)
    EXPECT_EQ(read(bytes, piece), (Events{"one", "two", "three\n more"})) << piece;
}

TEST(EventReader, an_event_comes_with_its_empty_line_and_not_before) {
  EventReader reader;
  reader.add("data: [DONE]\n");
  EXPECT_FALSE(reader.next());
  reader.add("\ndata: ");
  EXPECT_EQ(reader.next(), "[DONE]");
  EXPECT_FALSE(reader.next());
}

TEST(EventReader, empty_data_is_an_event_and_no_data_is_none) {
  EXPECT_EQ(read("data:\n\n\n\n: keep alive\n\nevent: ping\n\n", 100), Events{""});
}

}  // namespace
}  // namespace slipstream
