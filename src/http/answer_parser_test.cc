#include "http/answer_parser.h"

#include <gtest/gtest.h>

#include <string>

namespace slipstream {
namespace {

struct Parsed {
  int status = 0;
  std::string body;
  bool done = false;
  bool keeps_alive = false;
  std::string fault;
  size_t taken = 0;
};

// In pieces of so many bytes, and then, where `closes`, the end of the connection.
Parsed parse(const std::string& bytes, size_t piece, bool closes = false) {
  Parsed parsed;
  AnswerParser parser;
  std::string waiting;
  for (size_t at = 0; at < bytes.size() && parsed.fault.empty(); at += piece) {
    waiting += bytes.substr(at, piece);
    for (bool again = true; again;) {
      const Result<size_t> taken = parser.take(waiting);
      if (!taken.ok()) parsed.fault = taken.error().message;
      again = taken.ok() && *taken > 0;
      if (again) waiting.erase(0, *taken);
      if (again) parsed.taken += *taken;
    }
    parsed.body += std::exchange(parser.body(), {});
  }
  if (closes && parsed.fault.empty()) {
    const Status ended = parser.end();
    if (!ended.ok()) parsed.fault = ended.error().message;
  }
  parsed.done = parser.done();
  if (parser.has_head()) parsed.status = parser.status();
  if (parser.done()) parsed.keeps_alive = parser.keeps_alive();
  return parsed;
}

TEST(AnswerParser, reads_an_answer_of_known_length_however_it_is_cut) {
  const std::string bytes = "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello";
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    const Parsed parsed = parse(bytes, piece);
    EXPECT_EQ(parsed.status, 404);
    EXPECT_EQ(parsed.body, "hello") << piece;
    EXPECT_TRUE(parsed.done && parsed.keeps_alive) << piece << parsed.fault;
  }
}

TEST(AnswerParser, reads_chunks_however_they_are_cut_and_not_beyond_the_last) {
  const std::string bytes =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n1;x=y\r\nd\r\nB\r\n0\r\n\r\nefghij\r\n0\r\n\r\n";
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    const Parsed parsed = parse(bytes + "HTTP", piece);
    EXPECT_EQ(parsed.body, "abcd0\r\n\r\nefghij") << piece;
    EXPECT_TRUE(parsed.done && parsed.keeps_alive) << piece << parsed.fault;
    EXPECT_EQ(parsed.taken, bytes.size()) << piece;
  }
}

TEST(AnswerParser, gives_what_has_come_of_a_body_before_its_end) {
  AnswerParser parser;
  const std::string head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(parser.take(head).value(), head.size());
  EXPECT_GE(parser.take("2\r\nab\r\n").value(), 5u);
  EXPECT_EQ(parser.body(), "ab");
  EXPECT_FALSE(parser.done());
}

TEST(AnswerParser, a_body_without_length_ends_with_the_connection) {
  const Parsed parsed = parse("HTTP/1.0 200 OK\r\n\r\nsome text", 4, true);
  EXPECT_EQ(parsed.body, "some text");
  EXPECT_TRUE(parsed.done);
  EXPECT_FALSE(parsed.keeps_alive);
}

TEST(AnswerParser, an_answer_that_breaks_off_is_a_fault) {
  for (const char* const bytes : {"", "HTTP/1.1 200 OK\r\nConte",
                                  "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
                                  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nab"}) {
    const Parsed parsed = parse(bytes, 1000, true);
    EXPECT_EQ(parsed.fault, "the server closed the connection before its answer was whole") << bytes;
  }
}

TEST(AnswerParser, what_is_no_http_is_a_fault) {
  EXPECT_TRUE(parse("SSH-2.0-OpenSSH_9.2\r\n\r\n", 100).fault.starts_with("this is no HTTP/1.1"));
  EXPECT_TRUE(parse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyzxyz\r\n", 100).fault.starts_with("this"));
}

}  // namespace
}  // namespace slipstream
