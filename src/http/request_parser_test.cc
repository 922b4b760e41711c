#include "http/request_parser.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace slipstream {
namespace {

struct Parsed {
  std::optional<HttpRefusal> refusal;
  bool done = false;
  HttpRequest request;
};

// The header at once, the body in pieces of `piece` bytes.
Parsed parse(const std::string& bytes, size_t piece = 1 << 20, HttpLimits limits = {}) {
  Parsed parsed;
  RequestParser parser(limits);
  const std::optional<size_t> end = RequestParser::header_end(bytes);
  if (!end) return parsed;
  parsed.refusal = parser.take_header(std::string_view(bytes).substr(0, *end));
  size_t at = *end;
  size_t seen = at;
  while (!parsed.refusal && !parser.done() && seen < bytes.size()) {
    seen = std::min(seen + piece, bytes.size());
    size_t taken = 1;
    while (taken > 0 && at < seen && !parsed.refusal && !parser.done()) {
      taken = parser.take_body(std::string_view(bytes).substr(at, seen - at), parsed.refusal);
      at += taken;
    }
  }
  parsed.done = !parsed.refusal && parser.done();
  parsed.request = std::move(parser.request());
  return parsed;
}

TEST(RequestParser, reads_method_path_query_headers_and_body) {
  const Parsed parsed =
      parse("POST /v1/chat%20x?a=b HTTP/1.1\r\nHost: h\r\nX-Thing:  two \r\nContent-Length: 4\r\n\r\nbody");
  ASSERT_TRUE(parsed.done);
  EXPECT_EQ(parsed.request.method, "POST");
  EXPECT_EQ(parsed.request.path, "/v1/chat x");
  EXPECT_EQ(parsed.request.query, "a=b");
  EXPECT_EQ(parsed.request.header("x-thing"), "two");
  EXPECT_EQ(parsed.request.body, "body");
  EXPECT_TRUE(parsed.request.keep_alive);
}

TEST(RequestParser, a_body_is_the_same_however_it_is_cut) {
  const std::string chunked =
      "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n,\r\n6\r\n world\r\n0\r\nTrailer: "
      "t\r\n\r\n";
  const std::string plain = "POST / HTTP/1.1\r\nContent-Length: 12\r\n\r\nhello, world";
  for (size_t piece = 1; piece < 70; ++piece) {
    const Parsed one = parse(chunked, piece);
    ASSERT_TRUE(one.done) << piece;
    EXPECT_EQ(one.request.body, "hello, world") << piece;
    const Parsed two = parse(plain, piece);
    ASSERT_TRUE(two.done) << piece;
    EXPECT_EQ(two.request.body, "hello, world") << piece;
    ASSERT_TRUE(parse("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", piece).done) << piece;
  }
}

TEST(RequestParser, absolute_targets_lose_their_host) {
  EXPECT_EQ(parse("GET http://host:80/v1/models HTTP/1.1\r\n\r\n").request.path, "/v1/models");
  EXPECT_EQ(parse("GET http://host HTTP/1.1\r\n\r\n").request.path, "/");
  const Parsed queried = parse("GET http://host?a=/v1/models HTTP/1.1\r\n\r\n");
  EXPECT_EQ(queried.request.path, "/");
  EXPECT_EQ(queried.request.query, "a=/v1/models");
  EXPECT_EQ(parse("GET /a?b=http://host/c HTTP/1.1\r\n\r\n").request.path, "/a");
  EXPECT_EQ(parse("GET /a%2Fb%zz%4 HTTP/1.1\r\n\r\n").request.path, "/a/b%zz%4");
}

TEST(RequestParser, refuses_what_could_be_read_two_ways) {
  const std::vector<std::pair<std::string, int>> cases = {
      {"POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\nContent-Length: 4\r\n\r\nbody", 400},
      {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nbody", 400},
      {"POST / HTTP/1.1\r\nContent-Length: -4\r\n\r\nbody", 400},
      {"POST / HTTP/1.1\r\nContent-Length: 4x\r\n\r\nbody", 400},
      {"POST / HTTP/1.1\r\nContent-Length: 0x4\r\n\r\nbody", 400},
      {"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\nbody", 400},
      {"POST / HTTP/1.1\r\nContent-Length: 999000000000\r\n\r\nbody", 413},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nE8990D4400\r\n", 413},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", 400},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabXXXX\r\n", 400},
      {"POST / HTTP/1.1\r\nName : v\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nNo colon\r\n\r\n", 400},
      {"POST / HTTP/3.7\r\n\r\n", 400},
      {"POST  / HTTP/1.1\r\n\r\n", 400},
      {"P@ST / HTTP/1.1\r\n\r\n", 400},
      {"\x16\x03\x01 TLS hello\r\n\r\n", 400},
      {std::string("GET / HTTP/1.1\r\nA: \0\r\n\r\n", 24), 400},
  };
  for (const auto& [bytes, status] : cases) {
    const Parsed parsed = parse(bytes);
    ASSERT_TRUE(parsed.refusal) << bytes;
    EXPECT_EQ(parsed.refusal->status, status) << bytes << parsed.refusal->message;
  }
}

TEST(RequestParser, a_body_that_is_coded_is_refused_in_words) {
  const auto with = [](const std::string& coding) {
    return parse("POST / HTTP/1.1\r\nContent-Encoding: " + coding + "\r\nContent-Length: 4\r\n\r\nbody");
  };
  for (const char* coding : {"gzip", "br", "identity, gzip"}) {
    ASSERT_TRUE(with(coding).refusal) << coding;
    EXPECT_EQ(with(coding).refusal->status, 415);
  }
  EXPECT_TRUE(with("identity").done);
  EXPECT_TRUE(with("").done);
}

TEST(RequestParser, http_1_0_expects_no_100) {
  for (const bool is_new : {true, false}) {
    RequestParser parser{HttpLimits{}};
    const std::string version = is_new ? "HTTP/1.1" : "HTTP/1.0";
    ASSERT_FALSE(parser.take_header("POST / " + version + "\r\nExpect: 100-Continue\r\nContent-Length: 4\r\n\r\n"));
    EXPECT_EQ(parser.expects_continue(), is_new);
  }
}

TEST(RequestParser, an_announced_body_is_refused_before_it_is_read_and_reserves_nothing) {
  HttpLimits limits;
  limits.body_bytes = 100;
  EXPECT_EQ(parse("POST / HTTP/1.1\r\nContent-Length: 101\r\n\r\n", 1, limits).refusal->status, 413);
  EXPECT_FALSE(parse("POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\n", 1, limits).refusal);
  const std::string chunks =
      "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n33\r\n" + std::string(0x33, 'a') + "\r\n33\r\n";
  EXPECT_EQ(parse(chunks, 7, limits).refusal->status, 413);
  RequestParser parser{HttpLimits{}};
  ASSERT_FALSE(parser.take_header("POST / HTTP/1.1\r\nContent-Length: 8000000\r\n\r\n"));
  std::optional<HttpRefusal> refusal;
  parser.take_body("x", refusal);
  EXPECT_LT(parser.request().body.capacity(), 100u);
}

}  // namespace
}  // namespace slipstream
