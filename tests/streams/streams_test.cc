// One client at a time: what comes out, whole and streamed; leaving, failing, stopping.
#include <gtest/gtest.h>

#include <csignal>
#include <nlohmann/json.hpp>
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

std::vector<TokenId> some_prompt(uint32_t number, uint32_t length) {
  std::vector<TokenId> prompt;
  for (uint32_t i = 0; i < length; ++i) prompt.push_back((number * 31 + i * 7) % 256);
  return prompt;
}

const std::string kGreedy = R"("temperature":0,"ignore_eos":true)";

TEST(Streams, whole_and_streamed_answers_are_the_models_text) {
  EchoServer server;
  for (uint32_t number = 0; number < 20; ++number) {
    const std::vector<TokenId> prompt = some_prompt(number, 1 + number * 5);
    const EchoServer::Expected expected = server.echo_answer(prompt, 40);
    const std::string fields = kGreedy + R"(,"max_tokens":40)";
    const json whole = json::parse(body_of(ask(server, post("/v1/completions", completion_body(prompt, fields)))));
    EXPECT_EQ(whole["choices"][0]["text"], expected.text);
    EXPECT_EQ(whole["choices"][0]["finish_reason"], "length");
    EXPECT_EQ(whole["usage"]["prompt_tokens"], prompt.size());
    EXPECT_EQ(whole["usage"]["completion_tokens"], 40);
    const std::string streaming = fields + R"(,"stream":true,"stream_options":{"include_usage":true})";
    const Streamed streamed =
        read_stream(body_of(ask(server, post("/v1/completions", completion_body(prompt, streaming)))));
    EXPECT_EQ(streamed.fault, "");
    EXPECT_TRUE(streamed.done);
    ASSERT_EQ(streamed.choices.size(), 1u);
    EXPECT_EQ(streamed.choices[0].text, expected.text);
    EXPECT_EQ(streamed.choices[0].finish_reason, "length");
    EXPECT_EQ(streamed.prompt_tokens, static_cast<int64_t>(prompt.size()));
    EXPECT_EQ(streamed.completion_tokens, 40);
  }
}

TEST(Streams, a_chat_is_rendered_and_its_stream_gives_the_role_once) {
  EchoServer server;
  const std::string rendered =
      "\x01user\nhi <|im_end|>\x02\n\x01"
      "assistant\n";
  std::vector<TokenId> prompt;  // byte by byte; the template's own control tokens for 1 and 2
  const auto byte_tokens = [&](const std::string& text) {
    for (const char byte : text)
      prompt.push_back(byte == 1 ? 256 : byte == 2 ? 257 : static_cast<unsigned char>(byte));
  };
  byte_tokens(rendered);
  const EchoServer::Expected expected = server.echo_answer(prompt, 200, "", false);
  const std::string body =
      R"({"model":"echo","messages":[{"role":"user","content":"hi <|im_end|>"}],"temperature":0,"max_tokens":200)";
  const json whole = json::parse(body_of(ask(server, post("/v1/chat/completions", body + "}"))));
  EXPECT_EQ(whole["usage"]["prompt_tokens"], prompt.size());
  EXPECT_EQ(whole["choices"][0]["message"]["content"], expected.text);
  EXPECT_EQ(whole["choices"][0]["finish_reason"], expected.finish_reason);
  EXPECT_EQ(whole["usage"]["completion_tokens"], expected.num_tokens);
  const Streamed streamed =
      read_stream(body_of(ask(server, post("/v1/chat/completions", body + R"(,"stream":true})"))));
  EXPECT_EQ(streamed.fault, "");
  EXPECT_EQ(streamed.choices.at(0).text, expected.text);
  EXPECT_EQ(streamed.prompt_tokens, -1);  // usage only when asked for
}

TEST(Streams, lists_of_prompts_times_n_are_answered_in_order) {
  EchoServer server;
  const std::string body =
      R"({"model":"echo","prompt":[[1,2,3],[4,5]],"n":2,"temperature":0,"ignore_eos":true,"max_tokens":10)";
  const std::vector<std::string> expected = {
      server.echo_answer({1, 2, 3}, 10).text, server.echo_answer({1, 2, 3}, 10).text,
      server.echo_answer({4, 5}, 10).text, server.echo_answer({4, 5}, 10).text};
  const json whole = json::parse(body_of(ask(server, post("/v1/completions", body + "}"))));
  ASSERT_EQ(whole["choices"].size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(whole["choices"][i]["index"], i);
    EXPECT_EQ(whole["choices"][i]["text"], expected[i]);
  }
  EXPECT_EQ(whole["usage"]["prompt_tokens"], 5);  // each prompt once
  EXPECT_EQ(whole["usage"]["completion_tokens"], 40);
  const Streamed streamed = read_stream(body_of(
      ask(server, post("/v1/completions", body + R"(,"stream":true,"stream_options":{"include_usage":true}})"))));
  EXPECT_EQ(streamed.fault, "");
  ASSERT_EQ(streamed.choices.size(), 4u);
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(streamed.choices[i].text, expected[i]) << i;
  EXPECT_EQ(streamed.prompt_tokens, 5);
  EXPECT_EQ(streamed.completion_tokens, 40);
}

TEST(Streams, sampled_choices_differ_and_a_seed_gives_them_again) {
  EchoServer server;
  const auto texts = [&](const std::string& seed) {
    const std::string fields = R"("n":3,"ignore_eos":true,"max_tokens":20)" + seed;
    const json whole = json::parse(body_of(ask(server, post("/v1/completions", completion_body({1, 2}, fields)))));
    std::vector<std::string> all;
    for (const json& choice : whole["choices"]) all.push_back(choice["text"]);
    return all;
  };
  const auto first = texts(R"(,"seed":5)");
  EXPECT_NE(first[0], first[1]);
  EXPECT_NE(first[1], first[2]);
  EXPECT_EQ(texts(R"(,"seed":5)"), first);
  EXPECT_NE(texts(R"(,"seed":6)"), first);
  EXPECT_NE(texts(""), texts(""));  // no seed: one is drawn for each request
}

TEST(Streams, a_stop_string_never_leaks_and_held_back_text_comes) {
  EchoServer server;
  const std::vector<TokenId> prompt = {9, 9, 9};
  const std::string text = server.echo_answer(prompt, 120).text;
  const auto stop_field = [](const std::string& stop) { return R"(,"stop":)" + json(stop).dump(); };
  uint32_t stopped = 0;
  for (size_t at = 1; at + 8 < text.size(); at += 5) {
    for (const size_t length : {1u, 2u, 5u}) {
      const std::string stop = text.substr(at, length);
      if (json(stop).dump(-1, ' ', false, json::error_handler_t::ignore) !=
          json(stop).dump(-1, ' ', false, json::error_handler_t::replace))
        continue;  // cuts a character
      const EchoServer::Expected expected = server.echo_answer(prompt, 120, stop);
      const std::string fields = kGreedy + R"(,"max_tokens":120,"stream":true)" + stop_field(stop);
      const Streamed streamed =
          read_stream(body_of(ask(server, post("/v1/completions", completion_body(prompt, fields)))));
      EXPECT_EQ(streamed.fault, "");
      EXPECT_EQ(streamed.choices.at(0).text, expected.text);
      EXPECT_EQ(streamed.choices.at(0).finish_reason, "stop");
      ++stopped;
    }
  }
  EXPECT_GT(stopped, 20u);
  // A text that ends on what could have become a stop string is not shortened.
  const std::string held = text.substr(text.size() - 3) + "never";
  const Streamed streamed = read_stream(body_of(
      ask(server, post("/v1/completions",
                       completion_body(prompt, kGreedy + R"(,"max_tokens":120,"stream":true)" + stop_field(held))))));
  EXPECT_EQ(streamed.choices.at(0).text, text);
  EXPECT_EQ(streamed.choices.at(0).finish_reason, "length");
}

TEST(Streams, a_client_that_leaves_frees_its_blocks_within_two_steps) {
  for (const bool streaming : {true, false}) {
    EchoServer server;
    server.executor().hold();
    HttpTestClient staying(server.port());
    staying.send(
        post("/v1/completions", completion_body(some_prompt(1, 40), kGreedy + R"(,"max_tokens":400,"stream":true)")));
    server.executor().allow(3);
    ASSERT_TRUE(soon([&] { return server.engine().stats().num_steps == 3; }));
    const uint32_t blocks_alone = server.engine().stats().blocks_in_use;
    HttpTestClient leaving(server.port());
    const std::string fields = kGreedy + R"(,"max_tokens":400,"n":2)" + (streaming ? R"(,"stream":true)" : "");
    leaving.send(post("/v1/completions", completion_body(some_prompt(2, 200), fields)));
    ASSERT_TRUE(soon([&] { return server.engine().stats().num_waiting == 2; }));
    server.executor().allow(3);
    ASSERT_TRUE(soon([&] { return server.engine().stats().num_steps == 6; }));
    EXPECT_GT(server.engine().stats().blocks_in_use, blocks_alone + 10);
    leaving.leave();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));  // the leaving reaches the I/O thread
    server.executor().allow(2);
    ASSERT_TRUE(soon([&] { return server.engine().stats().num_steps == 8; }));
    EXPECT_LE(server.engine().stats().blocks_in_use, blocks_alone + 1);
    EXPECT_EQ(server.engine().stats().num_cancelled, 2u);
    EXPECT_EQ(server.engine().stats().num_running, 1u);
  }
}

TEST(Streams, a_client_that_leaves_while_it_waits_in_the_queue_is_forgotten) {
  EchoServerOptions options;
  options.engine.max_num_seqs = 1;
  EchoServer server(options);
  server.executor().hold();
  HttpTestClient first(server.port());
  first.send(post("/v1/completions", completion_body({1}, kGreedy + R"(,"max_tokens":50)")));
  server.executor().allow(1);  // the engine counts anew when a step has ended
  ASSERT_TRUE(soon([&] { return server.engine().stats().num_running == 1; }));
  std::vector<HttpTestClient> waiting;
  for (uint32_t i = 0; i < 5; ++i) {
    waiting.emplace_back(server.port());
    waiting.back().send(post("/v1/completions", completion_body({2, i}, kGreedy + R"(,"max_tokens":50)")));
  }
  ASSERT_TRUE(soon([&] { return server.engine().stats().num_waiting == 5; }));
  waiting.clear();
  // What is asked after they left is answered after their leaving was seen: the I/O thread takes events in order.
  for (uint32_t i = 0; i < 5; ++i) EXPECT_EQ(status_of(ask(server, "GET /version HTTP/1.1\r\n\r\n")), 200);
  server.executor().open();
  EXPECT_EQ(status_of(first.take_response()), 200);
  EXPECT_TRUE(soon([&] { return server.engine().idle(); }));
  EXPECT_TRUE(soon([&] { return server.engine().stats().num_cancelled == 5; }));
}

TEST(Streams, a_slow_reader_loses_nothing_and_holds_up_nobody) {
  EchoServer server;
  HttpTestClient slow(server.port(), 4096);
  const std::vector<TokenId> prompt = {5};
  slow.send(post("/v1/completions", completion_body(prompt, kGreedy + R"(,"max_tokens":4000,"stream":true)")));
  ASSERT_TRUE(
      soon([&] { return server.engine().stats().num_ended == 1; }));  // the engine did not wait for the reader
  const json other = json::parse(
      body_of(ask(server, post("/v1/completions", completion_body({6}, kGreedy + R"(,"max_tokens":5)")))));
  EXPECT_EQ(other["choices"][0]["text"], server.echo_answer({6}, 5).text);
  const Streamed streamed = read_stream(body_of(slow.take_response()));
  EXPECT_EQ(streamed.fault, "");
  EXPECT_EQ(streamed.choices.at(0).text, server.echo_answer(prompt, 4000).text);
}

TEST(Streams, a_row_that_is_not_finite_ends_its_request_with_model_error) {
  EchoServer server;
  server.executor().fail_next();
  const std::string whole =
      ask(server, post("/v1/completions", completion_body({1}, kGreedy + R"(,"max_tokens":5)")));
  EXPECT_EQ(status_of(whole), 500);
  EXPECT_EQ(json::parse(body_of(whole))["error"]["type"], "model_error");
  server.executor().fail_next();
  const Streamed streamed = read_stream(body_of(ask(
      server, post("/v1/completions", completion_body({1}, kGreedy + R"(,"n":3,"max_tokens":50,"stream":true)")))));
  EXPECT_EQ(streamed.fault, "");
  EXPECT_EQ(streamed.error_type, "model_error");
  EXPECT_TRUE(streamed.done);
  EXPECT_TRUE(soon([&] { return server.engine().idle(); }));  // its other choices are given up too
  EXPECT_EQ(status_of(ask(server, post("/v1/completions", completion_body({1}, kGreedy + R"(,"max_tokens":5)")))),
            200);
}

TEST(Streams, a_full_queue_is_429_and_leaves_nothing_behind) {
  EchoServerOptions options;
  options.engine.max_num_seqs = 1;
  options.engine.max_waiting_requests = 4;
  EchoServer server(options);
  server.executor().hold();
  HttpTestClient first(server.port());
  first.send(post("/v1/completions", completion_body({1}, kGreedy + R"(,"max_tokens":5)")));
  server.executor().allow(1);
  ASSERT_TRUE(soon([&] { return server.engine().stats().num_running == 1; }));
  const std::string full = ask(server, post("/v1/completions", completion_body({2}, R"("n":5,"max_tokens":5)")));
  EXPECT_EQ(status_of(full), 429);
  EXPECT_NE(full.find("\r\nRetry-After: "), std::string::npos);
  EXPECT_EQ(json::parse(body_of(full))["error"]["code"], "server_full");
  server.executor().open();
  EXPECT_EQ(status_of(first.take_response()), 200);
  EXPECT_TRUE(soon([&] { return server.engine().idle(); }));
  EXPECT_EQ(status_of(ask(server, post("/v1/completions", completion_body({2}, R"("n":2,"max_tokens":5)")))), 200);
}

TEST(Streams, a_prompt_beyond_the_context_is_400_naming_both_numbers) {
  EchoServer server;
  const json error = json::parse(
      body_of(ask(server, post("/v1/completions", completion_body(some_prompt(1, 5000), R"("max_tokens":5)")))));
  EXPECT_EQ(error["error"]["code"], "context_length_exceeded");
  EXPECT_EQ(error["error"]["param"], "prompt");
  const std::string words = error["error"]["message"];
  EXPECT_NE(words.find("5000"), std::string::npos) << words;
  EXPECT_NE(words.find("4096"), std::string::npos) << words;
  const std::string long_chat =
      R"({"model":"echo","messages":[{"role":"user","content":")" + std::string(5000, 'a') + "\"}]}";
  const json chat_error = json::parse(body_of(ask(server, post("/v1/chat/completions", long_chat))));
  EXPECT_EQ(chat_error["error"]["param"], "messages");
  EXPECT_EQ(chat_error["error"]["code"], "context_length_exceeded");
  const std::string endless = R"({"model":"echo","prompt":")" + std::string(2'000'000, 'a') + "\"}";
  EXPECT_EQ(json::parse(body_of(ask(server, post("/v1/completions", endless))))["error"]["code"],
            "context_length_exceeded");
  // What fits is answered to the context's end.
  const json whole = json::parse(body_of(
      ask(server, post("/v1/completions", completion_body(some_prompt(1, 4090), kGreedy + R"(,"max_tokens":100)")))));
  EXPECT_EQ(whole["usage"]["completion_tokens"], 6);
  EXPECT_EQ(whole["choices"][0]["finish_reason"], "length");
}

TEST(Streams, cached_tokens_are_told) {
  EchoServer server;
  const std::string request =
      post("/v1/completions", completion_body(some_prompt(3, 100), kGreedy + R"(,"max_tokens":5)"));
  EXPECT_EQ(json::parse(body_of(ask(server, request)))["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
  const json again = json::parse(body_of(ask(server, request)));
  EXPECT_GE(again["usage"]["prompt_tokens_details"]["cached_tokens"], 96);  // six blocks of 16
  EXPECT_LT(again["usage"]["prompt_tokens_details"]["cached_tokens"], 100);
}

TEST(Streams, pages_and_unknown_places) {
  EchoServer server;
  const auto get = [&](const std::string& path) { return ask(server, "GET " + path + " HTTP/1.1\r\n\r\n"); };
  EXPECT_EQ(json::parse(body_of(get("/v1/models")))["data"][0]["max_model_len"], 4096);
  EXPECT_EQ(json::parse(body_of(get("/v1/models/echo")))["id"], "echo");
  EXPECT_EQ(json::parse(body_of(get("/version")))["version"], "1.2.3");
  EXPECT_EQ(json::parse(body_of(get("/health")))["status"], "ok");
  EXPECT_EQ(status_of(get("/v1/models/other")), 404);
  EXPECT_EQ(status_of(get("/nothing")), 404);
  EXPECT_TRUE(json::accept(body_of(get("/%ff%00"))));  // no byte of a path breaks the answer
  const std::string wrong = get("/v1/chat/completions");
  EXPECT_EQ(status_of(wrong), 405);
  EXPECT_NE(wrong.find("\r\nAllow: POST, OPTIONS\r\n"), std::string::npos);
  const std::string unknown = ask(server, post("/v1/completions", R"({"model":"gpt-4","prompt":"x"})"));
  EXPECT_EQ(status_of(unknown), 404);
  EXPECT_EQ(json::parse(body_of(unknown))["error"]["code"], "model_not_found");
  HttpTestClient head(server.port());
  head.send("HEAD /health HTTP/1.1\r\n\r\nGET /version HTTP/1.1\r\n\r\n");
  EXPECT_EQ(status_of(head.take_until("\r\n\r\n")), 200);
  EXPECT_EQ(status_of(head.take_response()), 200);  // right behind the head: no body came
}

TEST(Streams, with_keys_everything_but_the_open_pages_needs_one) {
  EchoServerOptions options;
  options.server.api_keys = {"first-key", "second"};
  EchoServer server(options);
  const auto get = [&](const std::string& path, const std::string& headers) {
    return status_of(ask(server, "GET " + path + " HTTP/1.1\r\n" + headers + "\r\n"));
  };
  for (const std::string path : {"/v1/models", "/v1/models/echo", "/nothing", "/v1/completions"}) {
    EXPECT_EQ(get(path, ""), 401) << path;
    for (const std::string wrong : {"Bearer ", "Bearer first", "Bearer first-key2", "Bearer FIRST-KEY",
                                    "Basic first-key", "first-key", "Bearer  second"}) {
      EXPECT_EQ(get(path, "Authorization: " + wrong + "\r\n"), 401) << path << wrong;
    }
  }
  EXPECT_EQ(get("/v1/models", "Authorization: Bearer first-key\r\n"), 200);
  EXPECT_EQ(get("/v1/models", "authorization: bearer second\r\n"), 200);
  EXPECT_EQ(get("/nothing", "Authorization: Bearer second\r\n"), 404);
  EXPECT_EQ(get("/health", ""), 200);
  EXPECT_EQ(get("/version", ""), 200);
  EXPECT_EQ(status_of(ask(server, post("/v1/completions", "{"))), 401);  // before the body is looked at
  // ... and before it has come.
  const std::string announced = "POST /v1/completions HTTP/1.1\r\nContent-Length: 8000000\r\n";
  const std::string early = ask(server, announced + "Authorization: Bearer wrong\r\n\r\n{");
  EXPECT_EQ(status_of(early), 401);
  EXPECT_EQ(json::parse(body_of(early))["error"]["code"], "invalid_api_key");
  EXPECT_NE(early.find("\r\nWWW-Authenticate: Bearer\r\n"), std::string::npos);
}

std::string header_of(const std::string& response, const std::string& name) {
  const size_t at = response.find("\r\n" + name + ": ");
  if (at == std::string::npos || at > response.find("\r\n\r\n")) return {};
  const size_t begin = at + name.size() + 4;
  return response.substr(begin, response.find("\r\n", begin) - begin);
}

TEST(Streams, every_answer_carries_the_requests_id) {
  EchoServerOptions options;
  options.server.api_keys = {"k"};
  options.server.limits.body_bytes = 1000;
  EchoServer server(options);
  const std::string id = "X-Request-Id: my-id\r\n";
  const std::string key = "Authorization: Bearer k\r\n";
  const std::string stream = completion_body({1}, kGreedy + R"(,"max_tokens":3,"stream":true)");
  const std::pair<std::string, int> requests[] = {
      {post("/v1/completions", completion_body({1}, kGreedy + R"(,"max_tokens":3)"), id + key), 200},
      {post("/v1/completions", stream, id + key), 200},
      {post("/v1/completions", "{", id + key), 400},
      {post("/v1/completions", "{}", id), 401},
      {"GET /nothing HTTP/1.1\r\n" + id + key + "\r\n", 404},
      {"GET /v1/completions HTTP/1.1\r\n" + id + key + "\r\n", 405},
      {post("/v1/completions", std::string(2000, ' '), id + key), 413},
      {"GET /metrics HTTP/1.1\r\n" + id + "\r\n", 200},
      {"OPTIONS /v1/models HTTP/1.1\r\n" + id + "\r\n", 200}};
  for (const auto& [request, status] : requests) {
    const std::string answer = ask(server, request);
    EXPECT_EQ(status_of(answer), status) << request;
    EXPECT_EQ(header_of(answer, "X-Request-Id"), "my-id") << answer;
  }
  const std::string first = header_of(ask(server, "GET /version HTTP/1.1\r\n\r\n"), "X-Request-Id");
  EXPECT_EQ(first.size(), 28u) << first;  // req_ and 24 digits
  EXPECT_NE(first, header_of(ask(server, "GET /version HTTP/1.1\r\n\r\n"), "X-Request-Id"));
}

TEST(Streams, a_browser_may_ask_from_allowed_origins_only) {
  EchoServerOptions options;
  options.server.api_keys = {"k"};
  options.server.allowed_origins = {"https://a.example"};
  EchoServer server(options);
  const auto question = [&](const std::string& origin) {
    return ask(server, "OPTIONS /v1/chat/completions HTTP/1.1\r\nOrigin: " + origin +
                           "\r\nAccess-Control-Request-Method: POST\r\n"
                           "Access-Control-Request-Headers: authorization\r\n\r\n");
  };
  const std::string allowed = question("https://a.example");  // it carries no key
  EXPECT_EQ(status_of(allowed), 200);
  EXPECT_EQ(header_of(allowed, "Access-Control-Allow-Origin"), "https://a.example");
  EXPECT_EQ(header_of(allowed, "Access-Control-Allow-Methods"), "POST, OPTIONS");
  EXPECT_EQ(header_of(allowed, "Access-Control-Allow-Headers"), "authorization");
  EXPECT_EQ(header_of(question("https://b.example"), "Access-Control-Allow-Origin"), "");
  const std::string headers = "Origin: https://a.example\r\nAuthorization: Bearer k\r\n";
  const std::string stream = completion_body({1}, kGreedy + R"(,"max_tokens":3,"stream":true)");
  for (const std::string& body : {stream, std::string("{")}) {
    EXPECT_EQ(header_of(ask(server, post("/v1/completions", body, headers)), "Access-Control-Allow-Origin"),
              "https://a.example");
  }
}

TEST(Streams, metrics_count_what_was_answered) {
  EchoServer server;
  const std::string request =
      post("/v1/completions", completion_body(some_prompt(3, 100), kGreedy + R"(,"max_tokens":5,"n":2)"));
  EXPECT_EQ(status_of(ask(server, request)), 200);
  EXPECT_EQ(status_of(ask(server, request)), 200);
  EXPECT_EQ(status_of(ask(server, post("/v1/completions", "{"))), 400);
  const std::string page = body_of(ask(server, "GET /metrics HTTP/1.1\r\n\r\n"));
  const auto value = [&](const std::string& name, const std::string& more = "") {
    const std::string begin = "\n" + name + R"({model_name="echo")" + more + "} ";
    const size_t at = page.find(begin);
    return at == std::string::npos ? -1.0 : std::atof(page.c_str() + at + begin.size());
  };
  EXPECT_EQ(value("vllm:generation_tokens_total"), 20);
  EXPECT_EQ(value("vllm:prompt_tokens_total"), 400);
  EXPECT_EQ(value("vllm:prefix_cache_queries_total"), 400);
  EXPECT_GE(value("vllm:prefix_cache_hits_total"), 192);
  EXPECT_EQ(value("vllm:request_success_total", R"(,finished_reason="length")"), 4);
  EXPECT_EQ(value("vllm:time_to_first_token_seconds_count"), 4);
  EXPECT_EQ(value("vllm:inter_token_latency_seconds_count"), 16);
  EXPECT_EQ(value("vllm:e2e_request_latency_seconds_count"), 4);
  EXPECT_EQ(value("vllm:cache_config_info", R"(,block_size="16",num_gpu_blocks="4096")"), 1);
  EXPECT_EQ(value("vllm:num_requests_running"), 0);
  EXPECT_EQ(value("slipstream_http_responses_total", R"(,code="200")"), 2);
  EXPECT_EQ(value("slipstream_http_responses_total", R"(,code="400")"), 1);
}

TEST(Streams, one_keys_crowd_does_not_hold_up_anothers_request) {
  EchoServerOptions options;
  options.server.api_keys = {"crowd", "lone"};
  options.engine.max_num_seqs = 1;
  options.engine.turn_tokens = 20;
  EchoServer server(options);
  server.executor().hold();
  HttpTestClient crowd(server.port());
  crowd.send(post("/v1/completions", completion_body({1}, kGreedy + R"(,"max_tokens":10,"n":100)"),
                  "Authorization: Bearer crowd\r\n"));
  ASSERT_TRUE(soon([&] { return server.engine().stats().num_waiting >= 99; }));
  HttpTestClient lone(server.port());
  lone.send(post("/v1/completions", completion_body({2}, kGreedy + R"(,"max_tokens":10)"),
                 "Authorization: Bearer lone\r\n"));
  ASSERT_TRUE(soon([&] {
    const EngineStats stats = server.engine().stats();
    return stats.num_waiting + stats.num_running == 101;
  }));
  server.executor().allow(30);  // the one that runs, at most one more of the crowd's turn, and the lone one
  EXPECT_EQ(status_of(lone.take_response()), 200);
  EXPECT_LE(server.engine().stats().num_ended, 3u);
  server.executor().open();
  EXPECT_EQ(status_of(crowd.take_response()), 200);
}

TEST(Streams, before_the_model_is_in_requests_are_503) {
  ServerOptions options;
  options.port = 0;
  options.served_model_name = "echo";
  const auto server = std::move(Server::open(options, Clock::real())).value();
  HttpTestClient client(server->port());
  client.send(post("/v1/completions", R"({"model":"echo","prompt":"x"})"));
  const std::string answer = client.take_response();
  EXPECT_EQ(status_of(answer), 503);
  EXPECT_NE(answer.find("\r\nRetry-After: "), std::string::npos);
  client.send("GET /health HTTP/1.1\r\n\r\n");
  EXPECT_EQ(status_of(client.take_response()), 503);
  EXPECT_EQ(json::parse(body_of(answer))["error"]["type"], "service_unavailable");
  for (const char* ready : {"GET /ready", "OPTIONS /"}) {
    client.send(ready + std::string(" HTTP/1.1\r\n\r\n"));
    EXPECT_EQ(status_of(client.take_response()), 503);
  }
  for (const char* path : {"/version", "/metrics", "/v1/models"}) {
    client.send("GET " + std::string(path) + " HTTP/1.1\r\n\r\n");
    EXPECT_EQ(status_of(client.take_response()), 200) << path;
  }
}

TEST(Streams, health_fails_when_the_engine_does_not_step_while_it_has_work) {
  EchoServerOptions options;
  options.server.stall_timeout_s = 1;
  EchoServer server(options);
  const auto health = [&] { return status_of(ask(server, "GET /health HTTP/1.1\r\n\r\n")); };
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));
  EXPECT_EQ(health(), 200);  // no work, no steps: healthy
  server.executor().hold();
  HttpTestClient client(server.port());
  client.send(post("/v1/completions", completion_body({1}, kGreedy + R"(,"max_tokens":5)")));
  EXPECT_EQ(health(), 200);
  EXPECT_TRUE(soon([&] { return health() == 503; }));
  EXPECT_EQ(status_of(ask(server, post("/v1/completions", completion_body({1}, "\"n\":1")))), 503);
  server.executor().open();
  EXPECT_EQ(status_of(client.take_response()), 200);
  EXPECT_EQ(health(), 200);
}

TEST(Streams, sigterm_finishes_what_runs_refuses_what_comes_and_ends) {
  EchoServer server;
  server.executor().hold();
  HttpTestClient whole(server.port());
  whole.send(post("/v1/completions", completion_body({1}, kGreedy + R"(,"max_tokens":30)")));
  HttpTestClient streaming(server.port());
  streaming.send(post("/v1/completions", completion_body({2}, kGreedy + R"(,"max_tokens":30,"stream":true)")));
  HttpTestClient idle(server.port());
  idle.send("GET /version HTTP/1.1\r\n\r\n");
  idle.take_response();
  ASSERT_TRUE(soon([&] { return server.engine().stats().num_waiting + server.engine().stats().num_running >= 2; }));
  kill(getpid(), SIGTERM);
  EXPECT_TRUE(idle.closed_by_server());
  const std::string late = ask(server, post("/v1/completions", completion_body({3}, kGreedy)));
  EXPECT_EQ(status_of(late), 503);
  EXPECT_NE(late.find("\r\nRetry-After: "), std::string::npos);
  EXPECT_EQ(status_of(ask(server, "GET /ready HTTP/1.1\r\n\r\n")), 503);
  server.executor().open();
  const json answer = json::parse(body_of(whole.take_response()));
  EXPECT_EQ(answer["choices"][0]["text"], server.echo_answer({1}, 30).text);
  const Streamed streamed = read_stream(body_of(streaming.take_response()));
  EXPECT_TRUE(streamed.done);
  EXPECT_EQ(streamed.choices.at(0).text, server.echo_answer({2}, 30).text);
  server.join();
}

TEST(Streams, what_is_not_finished_in_time_is_told_so) {
  EchoServerOptions options;
  options.server.shutdown_timeout_s = 1;
  EchoServer server(options);
  server.executor().hold();
  HttpTestClient whole(server.port());
  whole.send(post("/v1/completions", completion_body({1}, kGreedy + R"(,"max_tokens":3000)")));
  HttpTestClient streaming(server.port());
  streaming.send(post("/v1/completions", completion_body({2}, kGreedy + R"(,"max_tokens":3000,"stream":true)")));
  ASSERT_TRUE(soon([&] { return server.engine().stats().num_waiting + server.engine().stats().num_running >= 2; }));
  server.executor().allow(3);
  server.server().shut_down();
  std::this_thread::sleep_for(std::chrono::milliseconds(1300));
  server.executor().allow(1);  // the step that was under way ends; then the engine stops
  EXPECT_EQ(status_of(whole.take_response()), 503);
  const Streamed streamed = read_stream(body_of(streaming.take_response()));
  EXPECT_EQ(streamed.error_type, "service_unavailable");
  EXPECT_TRUE(streamed.done);
  server.join();
}

}  // namespace
}  // namespace slipstream
