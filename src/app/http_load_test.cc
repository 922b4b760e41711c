#include "app/http_load.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <nlohmann/json.hpp>

#include "http/http_server.h"

namespace slipstream {
namespace {

using Json = nlohmann::json;

std::string text_event(const std::string& text) { return Json{{"choices", {{{"index", 0}, {"text", text}}}}}.dump(); }
const std::string kUsage = R"({"choices":[],"usage":{"completion_tokens":3}})";

// A server that answers each completion by what its first prompt token says: 0 three words, 1 a refusal, 2 a stream
// that breaks off, 3 an error within the stream, 4 nothing.
class FakeServer {
 public:
  FakeServer() {
    HttpServerOptions options;
    options.handler = [this](HttpExchange& exchange) { return answer(exchange); };
    options.write_refusal = [](const HttpRefusal& refusal) {
      return HttpResponse{refusal.status, "text/plain", {}, refusal.message};
    };
    auto started = HttpServer::start(std::move(options), Clock::real());
    CHECK(started.ok(), "{}", started.error().message);
    server_ = std::move(started).value();
  }
  HttpAddress address() const { return {"127.0.0.1", server_->port()}; }

  std::atomic<uint32_t> num_asked{0};
  std::atomic<uint32_t> most_at_once{0};
  std::string models = R"({"data":[{"id":"the model"}]})";
  std::string key;  // of the last request; read when none is under way

 private:
  Task<void> answer(HttpExchange& exchange) {
    key = std::string(exchange.request().header("Authorization"));
    if (exchange.request().path == "/v1/models") {
      HttpResponse response;
      response.body = models;
      co_await exchange.respond(std::move(response));
      co_return;
    }
    most_at_once = std::max(most_at_once.load(), ++num_at_once_);
    ++num_asked;
    const Json body = Json::parse(exchange.request().body);
    const auto kind = body["prompt"][0].get<uint32_t>();
    if (kind == 1) {
      HttpResponse response;
      response.status = 429;
      response.body = R"({"error":{"message":"come again"}})";
      co_await exchange.respond(std::move(response));
    } else if (kind == 4) {
      co_await UntilGone{exchange, server_->resume_queue()};
    } else {
      co_await stream(exchange, kind);
    }
    --num_at_once_;
  }

  Task<void> stream(HttpExchange& exchange, uint32_t kind) {
    exchange.begin_events();
    for (const char* const word : {"one ", "two ", "three"}) {
      exchange.put_event(text_event(word));
      co_await exchange.flush();
    }
    if (kind == 3) exchange.put_event(R"({"error":{"message":"not finite"}})");
    if (kind == 0) exchange.put_event(kUsage);
    if (kind != 2) exchange.put_event("[DONE]");
    co_await exchange.end_events();
  }

  struct UntilGone {
    HttpExchange& exchange;
    ResumeQueue& queue;
    bool await_ready() const { return exchange.client_gone(); }
    void await_suspend(std::coroutine_handle<> waiting) {
      exchange.when_gone([this, waiting] { queue.post(waiting); });
    }
    void await_resume() const {}
  };

  uint32_t num_at_once_ = 0;
  std::unique_ptr<HttpServer> server_;
};

// Prompts of one token, which is below `kinds`.
LoadPlan plan_of(uint32_t num_streams, uint32_t num_requests, uint32_t kinds = 1) {
  LoadPlan plan;
  plan.num_streams = num_streams;
  plan.num_requests = num_requests;
  plan.prompt_tokens = 1;
  plan.max_tokens = 3;
  plan.vocab_size = kinds;
  return plan;
}

HttpTarget target_of(const FakeServer& server) {
  HttpTarget target;
  target.address = server.address();
  target.model = "the model";
  return target;
}

TEST(HttpLoad, every_request_is_asked_once_and_never_more_at_a_time_than_there_are_streams) {
  FakeServer server;
  uint64_t told = 0;
  const auto load = run_http_load(plan_of(3, 20), target_of(server), [&](uint64_t more) { told += more; });
  ASSERT_TRUE(load.ok());
  ASSERT_EQ(load->size(), 20u);
  for (const LoadedRequest& request : *load) {
    EXPECT_EQ(request.fault, "");
    EXPECT_EQ(request.text, "one two three");
    EXPECT_EQ(request.num_tokens, 3u);
    ASSERT_EQ(request.text_s.size(), 3u);
    EXPECT_LE(request.asked_s, request.first_event_s);
    EXPECT_EQ(request.first_event_s, request.text_s.front());
    EXPECT_LE(request.text_s.back(), request.ended_s);
  }
  EXPECT_EQ(server.num_asked, 20u);
  EXPECT_LE(server.most_at_once, 3u);
  EXPECT_EQ(told, 60u);
}

TEST(HttpLoad, at_a_rate_each_request_comes_at_its_own_time) {
  FakeServer server;
  LoadPlan plan = plan_of(1, 10);
  plan.request_rate = 50;
  const auto load = run_http_load(plan, target_of(server), {});
  ASSERT_TRUE(load.ok());
  const std::vector<double> arrivals = plan.arrivals();
  for (size_t i = 1; i < load->size(); ++i) {
    EXPECT_EQ((*load)[i].fault, "");
    // A timer may be late, and it never rings more than a millisecond early.
    EXPECT_GT((*load)[i].asked_s - (*load)[0].asked_s, arrivals[i] - 0.1);
  }
}

TEST(HttpLoad, a_request_that_fails_says_why_and_the_others_go_on) {
  FakeServer server;
  const LoadPlan plan = plan_of(2, 24, 4);
  const auto load = run_http_load(plan, target_of(server), {});
  ASSERT_TRUE(load.ok());
  const std::vector<std::string> faults = {"", "status 429: come again", "the stream has no end", "not finite"};
  for (uint32_t request = 0; request < load->size(); ++request)
    EXPECT_EQ((*load)[request].fault, faults[plan.prompt(request)[0]]) << request;
}

TEST(HttpLoad, who_hears_nothing_gives_up_and_says_so) {
  FakeServer server;
  HttpTarget target = target_of(server);
  target.silence_timeout_s = 0;
  LoadPlan plan = plan_of(1, 1, 5);
  while (plan.prompt(0)[0] != 4) ++plan.seed;
  const auto load = run_http_load(plan, target, {});
  ASSERT_TRUE(load.ok());
  EXPECT_EQ(load->front().fault, "the server was silent for too long");
}

TEST(HttpLoad, the_target_is_asked_for_its_model_with_its_key) {
  FakeServer server;
  const auto target = find_target(server.address(), "sesame");
  ASSERT_TRUE(target.ok());
  EXPECT_EQ(target->model, "the model");
  EXPECT_EQ(server.key, "Bearer sesame");
  server.models = R"({"data":[]})";
  const auto none = find_target(server.address(), "");
  ASSERT_FALSE(none.ok());
  EXPECT_NE(none.error().message.find("expected a list of models, not '{\"data\":[]}'"), std::string::npos);
}

TEST(HttpLoad, a_body_asks_for_a_stream_of_just_so_many_tokens) {
  LoadPlan plan = plan_of(1, 1, 100);
  HttpTarget target;
  target.model = "m";
  Json body = Json::parse(load_body(plan, target, 0));
  EXPECT_EQ(body["prompt"], Json(plan.prompt(0)));
  EXPECT_EQ(body["max_tokens"], 3);
  EXPECT_EQ(body["ignore_eos"], true);
  EXPECT_EQ(body["stream"], true);
  EXPECT_EQ(body["stream_options"]["include_usage"], true);
  target.chat = true;
  plan.prompt_tokens = 4;
  body = Json::parse(load_body(plan, target, 0));
  EXPECT_FALSE(body.contains("prompt"));
  const auto text = body["messages"][0]["content"].get<std::string>();
  EXPECT_EQ(std::ranges::count(text, ' '), 3);
  EXPECT_NE(load_body(plan, target, 0), load_body(plan, target, 1));
}

TEST(HttpLoad, the_first_event_of_a_chat_has_no_text) {
  const std::vector<TimedEvent> events = {
      {1, R"({"choices":[{"delta":{"role":"assistant","content":""}}],"usage":null})"},
      {2, R"({"choices":[{"delta":{"content":"Hi"}}],"usage":null})"},
      {5, R"({"choices":[{"delta":{},"finish_reason":"length"}],"usage":null})"},
      {6, R"({"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2}})"},
      {7, "[DONE]"}};
  LoadedRequest request;
  read_events(events, request);
  EXPECT_EQ(request.fault, "");
  EXPECT_EQ(request.first_event_s, 1);
  EXPECT_EQ(request.text_s, std::vector<double>{2});
  EXPECT_EQ(request.text, "Hi");
  EXPECT_EQ(request.num_tokens, 2u);
}

TEST(HttpLoad, a_stream_of_no_known_length_is_a_fault) {
  const std::vector<TimedEvent> events = {{1, text_event("x")}, {2, "{not json"}, {3, "[DONE]"}};
  LoadedRequest request;
  read_events(events, request);
  EXPECT_EQ(request.fault, "the stream says no number of tokens");
}

}  // namespace
}  // namespace slipstream
