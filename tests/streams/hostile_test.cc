// Clients that mean no good, against the whole server: each gets its 4xx or is cut off, and an honest one beside is
// served.
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "echo_server.h"
#include "http/http_test_client.h"

namespace slipstream {
namespace {

using nlohmann::json;

std::string ask(EchoServer& server, const std::string& bytes) {
  HttpTestClient client(server.port());
  client.send(bytes);
  return client.take_response();
}

void check_honest(EchoServer& server) {
  const std::string answer =
      ask(server,
          post("/v1/completions", completion_body({1, 2, 3}, R"("temperature":0,"ignore_eos":true,"max_tokens":8)")));
  ASSERT_EQ(status_of(answer), 200);
  EXPECT_EQ(json::parse(body_of(answer))["choices"][0]["text"], server.echo_answer({1, 2, 3}, 8).text);
}

// The answer is OpenAI's error object with a 4xx.
void check_refused(const std::string& answer, const std::string& what) {
  EXPECT_GE(status_of(answer), 400) << what;
  EXPECT_LT(status_of(answer), 500) << what << answer;
  const json error = json::parse(body_of(answer), nullptr, false);
  ASSERT_TRUE(error.is_object() && error.contains("error")) << what << answer;
  for (const char* field : {"message", "type", "param", "code"}) EXPECT_TRUE(error["error"].contains(field)) << what;
  EXPECT_FALSE(error["error"]["message"].get<std::string>().empty()) << what;
}

TEST(Hostile, every_tcp_split_of_a_chat_gets_the_same_answer) {
  EchoServer server;
  const std::string request =
      post("/v1/chat/completions",
           R"({"model":"echo","messages":[{"role":"user","content":"é"}],"temperature":0,"max_tokens":4})");
  HttpTestClient client(server.port());
  client.send(request);
  const json expected = json::parse(body_of(client.take_response()))["choices"];
  for (size_t at = 1; at < request.size(); ++at) {
    client.send(request.substr(0, at));
    std::this_thread::sleep_for(std::chrono::microseconds(500));
    client.send(request.substr(at));
    const std::string answer = client.take_response();
    ASSERT_EQ(status_of(answer), 200) << at;
    ASSERT_EQ(json::parse(body_of(answer))["choices"], expected) << at;
  }
}

TEST(Hostile, what_http_refuses_is_openais_object_too) {
  EchoServer server;
  check_refused(ask(server, "POST /v1/completions HTTP/1.1\r\nContent-Length: 999000000000\r\n\r\n"), "huge");
  check_refused(
      ask(server, "POST /v1/completions HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}"),
      "smuggled");
  check_refused(ask(server, "POST /v1/completions HTTP/1.1\r\nContent-Length: x\r\n\r\n{}"), "length");
  check_refused(ask(server, "BREW /pot HTTP/1.1\r\n\r\n"), "method");
  check_refused(ask(server, "GET / HTTP/9.9\r\n\r\n"), "version");
  check_refused(ask(server, "GET /" + std::string(30'000, 'a') + " HTTP/1.1\r\n\r\n"), "long");
  check_refused(ask(server, std::string("\0\0\0\r\n\r\n", 7)), "zeros");
  check_honest(server);
}

TEST(Hostile, malformed_bodies_are_400) {
  EchoServer server;
  HttpTestClient client(server.port());
  const std::vector<std::string> bodies = {"",
                                           "{",
                                           "null",
                                           "[]",
                                           "\"x\"",
                                           "{\"model\":\"echo\"",
                                           std::string(100'000, '['),
                                           "{\"a\":" + std::string(2'000'000, '['),
                                           "\xff\xfe",
                                           R"({"model":"echo","prompt":"\ud800"})",
                                           R"({"model":"echo","prompt":"x","prompt":"y"})",
                                           R"({"model":"echo","prompt":"x","temperature":NaN})",
                                           R"({"model":"echo","prompt":"x","temperature":1e30})",
                                           R"({"model":"echo","prompt":"x","max_tokens":1e999})",
                                           "{\"model\":\"echo\",\"prompt\":\"\xed\xa0\x80\"}",
                                           R"({"model":"echo","prompt":[258]})",
                                           R"({"model":"echo","prompt":[4294967295]})",
                                           R"({"model":"echo","prompt":[-1]})",
                                           R"({"model":"echo","prompt":""})",
                                           R"({"model":"echo","prompt":[[]]})",
                                           R"({"model":"echo","prompt":"x","n":129})",
                                           R"({"model":"echo","prompt":"x","\u0000":1})"};
  for (const std::string& body : bodies) {
    client.send(post("/v1/completions", body));
    const std::string answer = client.take_response();  // on one connection: a refused body ends nothing
    EXPECT_EQ(status_of(answer), 400) << body.substr(0, 80);
    check_refused(answer, body.substr(0, 80));
  }
  check_honest(server);
}

TEST(Hostile, mutated_requests_are_answered_or_refused_and_never_a_5xx) {
  EchoServer server;
  const uint32_t seed = std::random_device{}();
  std::printf("seed %u\n", seed);
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 dice(seed);
  const std::string bodies[] = {
      R"({"model":"echo","messages":[{"role":"system","content":"s"},{"role":"user",)"
      R"("content":[{"type":"text",)"
      R"("text":"Once upon a time there was a server that answered whoever came, in words."}]}],)"
      R"("max_tokens":3,"stop":["a","b"],"n":2})",
      R"({"model":"echo",)"
      R"("prompt":["It was a dark and stormy night; the rain fell in torrents on all of them","b"],)"
      R"("max_tokens":3,"temperature":0.5,"top_p":0.5,"top_k":4,"min_p":0.1,"seed":3,"user":"u",)"
      R"("stream":true,"stream_options":{"include_usage":true}})"};
  const std::string pieces[] = {
      "\"",      "{",       "}",    "[",   "]", ",", ":", "null", "true", "-1", "1e9", "0.5", "99999999999999999999",
      "\\u0000", "\\ud800", "\xc3", "\xff"};
  std::map<int, uint32_t> by_status;
  for (int round = 0; round < 300; ++round) {
    const bool chat = dice() % 2 == 0;
    std::string body = bodies[chat ? 0 : 1];
    for (uint32_t change = dice() % 3 + 1; change > 0; --change) {
      const size_t at = dice() % body.size();
      switch (dice() % 4) {
        case 0:
          body.erase(at, dice() % 8 + 1);
          break;
        case 1:
          body.insert(at, pieces[dice() % std::size(pieces)]);
          break;
        case 2:
          body[at] = static_cast<char>(dice());
          break;
        default:
          body.insert(at, body.substr(dice() % body.size(), dice() % 20));
      }
      if (body.empty()) body.push_back('{');
    }
    HttpTestClient client(server.port());
    client.send(post(chat ? "/v1/chat/completions" : "/v1/completions", body));
    const std::string answer = client.take_response();
    ++by_status[status_of(answer)];
    if (status_of(answer) != 200) check_refused(answer, body);
  }
  for (const auto& [status, count] : by_status) std::printf("status %d: %u\n", status, count);
  EXPECT_GT(by_status[400], 50u);
  check_honest(server);
}

TEST(Hostile, who_dribbles_or_never_reads_holds_up_nobody) {
  EchoServerOptions options;
  options.server.limits.header_timeout_ms = 500;
  options.server.limits.body_timeout_ms = 500;
  options.server.limits.write_timeout_ms = 500;
  EchoServer server(options);
  std::vector<HttpTestClient> rude;
  for (uint32_t i = 0; i < 60; ++i) {
    rude.emplace_back(server.port(), 4096);
    const std::string kinds[] = {
        "P", "POST /v1/completions HTTP/1.1\r\nX-Slow: ",
        "POST /v1/completions HTTP/1.1\r\nContent-Length: 5000000\r\n\r\n{",
        post("/v1/completions", completion_body({i}, R"("ignore_eos":true,"max_tokens":4000,"stream":true)"))};
    rude.back().send(kinds[i % 4]);
  }
  for (int round = 0; round < 10; ++round) {
    for (uint32_t i = 0; i < rude.size(); ++i) {
      if (i % 4 != 3) rude[i].send("x");
    }
    check_honest(server);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  for (uint32_t i = 0; i < rude.size(); ++i) {
    if (i % 4 == 3) continue;
    EXPECT_TRUE(rude[i].closed_by_server()) << i;
  }
  EXPECT_TRUE(soon([&] { return server.engine().idle(); }));
}

}  // namespace
}  // namespace slipstream
