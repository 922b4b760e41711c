// tests/data/api/parameters.txt names every parameter; tests/api/test_parameters.py has a row for each of its lines.
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <string>

#include "api/generation_fields.h"
#include "api/test_requests.h"

namespace slipstream {
namespace {

// "chat temperature", "completions echo later" ...
void add_names(const std::string& endpoint, std::span<const std::string_view> names, const std::string& kind,
               std::set<std::string>& lines) {
  for (const std::string_view name : names) lines.insert(endpoint + " " + std::string(name) + kind);
}

TEST(ParameterNames, are_those_of_the_table) {
  std::set<std::string> lines;
  const Json chat_body = parse_json(chat("")).value();
  JsonFields chat_fields(chat_body, "");
  ASSERT_TRUE(read_chat_request(chat_fields, {}).ok());
  add_names("chat", chat_fields.known(), "", lines);
  const Json completion_body = parse_json(completion("")).value();
  JsonFields completion_fields(completion_body, "");
  ASSERT_TRUE(read_completion_request(completion_fields, {}).ok());
  add_names("completions", completion_fields.known(), "", lines);
  add_names("chat", kLaterNames, " later", lines);
  add_names("completions", kLaterNames, " later", lines);

  std::ifstream file(SLIPSTREAM_TEST_DATA "/api/parameters.txt");
  std::set<std::string> expected;
  for (std::string line; std::getline(file, line);) expected.insert(line);
  for (const std::string& line : lines) EXPECT_TRUE(expected.contains(line)) << "not in parameters.txt: " << line;
  for (const std::string& line : expected) EXPECT_TRUE(lines.contains(line)) << "no parameter: " << line;
}

}  // namespace
}  // namespace slipstream
