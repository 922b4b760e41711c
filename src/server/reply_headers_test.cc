#include "server/reply_headers.h"

#include <gtest/gtest.h>

namespace slipstream {
namespace {

using Headers = std::vector<HttpHeader>;

std::string value(const Headers& headers, std::string_view name) { return std::string(find_header(headers, name)); }

TEST(ReplyHeaders, a_requests_id_comes_back_as_it_was) {
  const ReplyHeaders reply({});
  EXPECT_EQ(value(reply.of({{"x-request-id", "a b~{}\"%0d%0a"}}, "own"), "X-Request-Id"), "a b~{}\"%0d%0a");
  EXPECT_EQ(value(reply.of({{"X-Request-Id", std::string(128, 'x')}}, "own"), "X-Request-Id"), std::string(128, 'x'));
}

TEST(ReplyHeaders, an_id_that_is_missing_too_long_or_not_printable_is_replaced) {
  const ReplyHeaders reply({});
  EXPECT_EQ(value(reply.of({}, "own"), "X-Request-Id"), "own");
  const std::string wrong[] = {"",     std::string(129, 'x'),   "a\r\nSet-Cookie: b", "a\tb", "\xc3\xa9",
                               "\x7f", std::string("a\0b", 3)};
  for (const std::string& id : wrong) {
    EXPECT_EQ(value(reply.of({{"X-Request-Id", id}}, "own"), "X-Request-Id"), "own") << id;
  }
}

TEST(ReplyHeaders, a_well_formed_traceparent_comes_back_and_no_other) {
  const ReplyHeaders reply({});
  const std::string good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  EXPECT_EQ(value(reply.of({{"traceparent", good}}, "own"), "traceparent"), good);
  const std::string wrong[] = {"00", good + "0", "00-0AF7651916cd43dd8448eb211c80319c" + good.substr(35),
                               good.substr(0, 53) + "\r\n", "00_" + good.substr(3)};
  for (const std::string& trace : wrong) {
    EXPECT_EQ(reply.of({{"traceparent", trace}}, "own").size(), 1u) << trace;
  }
}

TEST(ReplyHeaders, without_allowed_origins_nothing_is_said_about_them) {
  const ReplyHeaders reply({});
  EXPECT_EQ(reply.of({{"Origin", "https://a.example"}}, "own").size(), 1u);
  const Headers question = {{"Origin", "https://a.example"}, {"Access-Control-Request-Method", "POST"}};
  EXPECT_TRUE(reply.preflight(question, "POST").empty());
}

TEST(ReplyHeaders, an_allowed_origin_is_named_and_another_is_not) {
  const ReplyHeaders reply({"https://a.example", "http://localhost:3000"});
  const Headers allowed = reply.of({{"Origin", "http://localhost:3000"}}, "own");
  EXPECT_EQ(value(allowed, "Access-Control-Allow-Origin"), "http://localhost:3000");
  EXPECT_NE(value(allowed, "Access-Control-Expose-Headers").find("X-Request-Id"), std::string::npos);
  for (const char* other : {"https://a.example.evil", "https://a.exampl", "http://a.example", "null", "*", ""}) {
    const Headers headers = reply.of({{"Origin", other}}, "own");
    EXPECT_EQ(value(headers, "Access-Control-Allow-Origin"), "") << other;
    EXPECT_EQ(value(headers, "Vary"), "Origin");
  }
}

TEST(ReplyHeaders, a_star_allows_every_origin_that_can_be_written) {
  const ReplyHeaders reply({"*"});
  EXPECT_EQ(value(reply.of({{"Origin", "null"}}, "own"), "Access-Control-Allow-Origin"), "null");
  EXPECT_EQ(value(reply.of({{"Origin", "https://a\r\nX: y"}}, "own"), "Access-Control-Allow-Origin"), "");
}

TEST(ReplyHeaders, a_preflight_is_told_the_methods_and_the_headers_it_asked_for) {
  const ReplyHeaders reply({"https://a.example"});
  Headers question = {{"Origin", "https://a.example"}, {"Access-Control-Request-Method", "POST"}};
  EXPECT_EQ(value(reply.preflight(question, "POST, OPTIONS"), "Access-Control-Allow-Methods"), "POST, OPTIONS");
  EXPECT_EQ(value(reply.preflight(question, "POST"), "Access-Control-Allow-Headers"), "Authorization, Content-Type");
  question.push_back({"Access-Control-Request-Headers", "authorization,x-stainless-os"});
  EXPECT_EQ(value(reply.preflight(question, "POST"), "Access-Control-Allow-Headers"), "authorization,x-stainless-os");
  question.back().value = "a\r\nSet-Cookie: b";
  EXPECT_EQ(value(reply.preflight(question, "POST"), "Access-Control-Allow-Headers"), "Authorization, Content-Type");
  question.front().value = "https://b.example";
  EXPECT_TRUE(reply.preflight(question, "POST").empty());
}

}  // namespace
}  // namespace slipstream
