#include "http/http_server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "base/task_pool.h"
#include "http/event_loop.h"
#include "http/http_test_client.h"

namespace slipstream {
namespace {

using std::chrono::milliseconds;

// A server whose handler answers "<method> <path> <body>" and counts; /events streams, /hold waits until the client
// is gone.
class EchoServer {
 public:
  explicit EchoServer(HttpLimits limits = {}) {
    HttpServerOptions options;
    options.limits = limits;
    options.handler = [this](HttpExchange& exchange) { return answer(exchange); };
    options.write_refusal = [](const HttpRefusal& refusal) {
      HttpResponse response;
      response.status = refusal.status;
      response.body = "refused: " + refusal.message;
      response.headers.push_back({"X-Seen", std::string(find_header(refusal.headers, "x-mark"))});
      return response;
    };
    options.admit_body = [](const HttpRequest& request) -> std::optional<HttpRefusal> {
      if (request.path == "/no-body") return HttpRefusal{401, "not here"};
      return std::nullopt;
    };
    auto started = HttpServer::start(std::move(options), Clock::real());
    CHECK(started.ok(), "{}", started.error().message);
    server_ = std::move(started).value();
  }
  ~EchoServer() { server_.reset(); }

  uint16_t port() const { return server_->port(); }
  HttpServer& server() { return *server_; }

  std::atomic<int> num_answered{0};
  std::atomic<int> num_gone{0};
  std::atomic<int> events_put{0};

 private:
  // Resumed with the client's leaving.
  struct UntilGone {
    HttpExchange& exchange;
    ResumeQueue& queue;
    bool await_ready() const { return exchange.client_gone(); }
    void await_suspend(std::coroutine_handle<> waiting) {
      exchange.when_gone([this, waiting] { queue.post(waiting); });
    }
    void await_resume() const {}
  };

  Task<void> answer(HttpExchange& exchange) {
    exchange.add_header({"X-Seen", std::string(exchange.request().header("X-Mark"))});
    const std::string& path = exchange.request().path;
    if (path == "/hold") {
      co_await UntilGone{exchange, server_->resume_queue()};
      ++num_gone;
      co_return;
    }
    if (path == "/events" || path == "/endless") {
      exchange.begin_events();
      const std::string data(path == "/events" ? 1 : 5000, 'e');
      for (int event = 0; (event < 100 || path == "/endless") && !exchange.client_gone(); ++event) {
        exchange.put_event(data + std::to_string(event));
        co_await exchange.flush();
        ++events_put;
      }
      if (exchange.client_gone()) ++num_gone;
      co_await exchange.end_events();
      co_return;
    }
    if (path == "/throw") throw std::bad_alloc();
    HttpResponse response;
    response.content_type = "text/plain";
    response.body = exchange.request().method + " " + path + " " + exchange.request().body;
    ++num_answered;
    co_await exchange.respond(std::move(response));
  }

  std::unique_ptr<HttpServer> server_;
};

std::string post(const std::string& path, const std::string& body, const std::string& headers = "") {
  return "POST " + path + " HTTP/1.1\r\nHost: x\r\n" + headers + "Content-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

template <class Condition>
bool soon(const Condition& condition) {
  for (int i = 0; i < 2000 && !condition(); ++i) std::this_thread::sleep_for(milliseconds(5));
  return condition();
}

TEST(HttpServer, answers_many_requests_on_one_connection) {
  EchoServer server;
  HttpTestClient client(server.port());
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(client.send(post("/p", "body" + std::to_string(i))));
    EXPECT_TRUE(ends_with(client.take_response(), "POST /p body" + std::to_string(i)));
  }
  EXPECT_EQ(server.num_answered, 50);
}

TEST(HttpServer, what_is_added_to_an_answer_goes_with_whole_ones_streams_and_refusals) {
  EchoServer server;
  const auto head_of = [&](const std::string& bytes) {
    HttpTestClient client(server.port());
    client.send(bytes);
    return client.take_until("\r\n\r\n");
  };
  const std::string mark = "X-Mark: one\r\n";
  for (const std::string& bytes :
       {post("/p", "x", mark), post("/events", "", mark), "HEAD /p HTTP/1.1\r\n" + mark + "\r\n",
        "POST /p HTTP/1.1\r\n" + mark + "Content-Length: 999000000000\r\n\r\n",
        "POST /p HTTP/1.1\r\n" + mark + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /p HTTP/1.1\r\n" + mark + "Transfer-Encoding: chunked\r\n\r\nzz\r\n"}) {
    EXPECT_NE(head_of(bytes).find("\r\nX-Seen: one\r\n"), std::string::npos) << bytes;
  }
}

TEST(HttpServer, a_body_that_is_not_admitted_is_not_waited_for) {
  EchoServer server;
  HttpTestClient client(server.port());
  client.send("POST /no-body HTTP/1.1\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_TRUE(ends_with(client.take_response(), "refused: not here"));
  EXPECT_TRUE(client.closed_by_server());
  HttpTestClient without_body(server.port());
  without_body.send("GET /no-body HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(ends_with(without_body.take_response(), "GET /no-body "));
}

TEST(HttpServer, answers_pipelined_requests_in_order) {
  EchoServer server;
  HttpTestClient client(server.port());
  std::string bytes;
  for (int i = 0; i < 20; ++i) bytes += post("/p", std::to_string(i));
  ASSERT_TRUE(client.send(bytes));
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(ends_with(client.take_response(), "POST /p " + std::to_string(i))) << i;
}

TEST(HttpServer, every_tcp_split_of_a_request_gets_the_same_answer) {
  EchoServer server;
  HttpTestClient client(server.port());
  const std::string plain = post("/split", "0123456789");
  const std::string chunked =
      "POST /split HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n0123\r\n6\r\n456789\r\n0\r\n\r\n";
  for (const std::string& request : {plain, chunked}) {
    for (size_t at = 1; at < request.size(); ++at) {
      ASSERT_TRUE(client.send(request.substr(0, at)));
      std::this_thread::sleep_for(milliseconds(1));
      ASSERT_TRUE(client.send(request.substr(at)));
      ASSERT_TRUE(ends_with(client.take_response(), "POST /split 0123456789")) << at;
    }
  }
}

TEST(HttpServer, one_byte_at_a_time_is_a_request_too) {
  EchoServer server;
  HttpTestClient client(server.port());
  for (const char byte : post("/slow", "0123456789")) ASSERT_TRUE(client.send({&byte, 1}));
  EXPECT_TRUE(ends_with(client.take_response(), "POST /slow 0123456789"));
}

TEST(HttpServer, http_1_0_and_connection_close_end_the_connection) {
  EchoServer server;
  HttpTestClient old(server.port());
  old.send("GET /old HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(ends_with(old.take_all(), "GET /old "));
  HttpTestClient polite(server.port());
  polite.send("GET /bye HTTP/1.1\r\nConnection: close\r\n\r\n");
  const std::string answer = polite.take_all();
  EXPECT_TRUE(ends_with(answer, "GET /bye "));
  EXPECT_NE(answer.find("Connection: close"), std::string::npos);
}

TEST(HttpServer, streams_events_in_chunks_and_keeps_the_connection) {
  EchoServer server;
  HttpTestClient client(server.port());
  for (int round = 0; round < 3; ++round) {
    client.send("GET /events HTTP/1.1\r\n\r\n");
    const std::string answer = client.take_response();
    size_t at = 0;
    for (int event = 0; event < 100; ++event) {
      at = answer.find("data: e" + std::to_string(event) + "\n\n", at);
      ASSERT_NE(at, std::string::npos) << event;
    }
  }
  HttpTestClient old(server.port());
  old.send("GET /events HTTP/1.0\r\n\r\n");
  const std::string answer = old.take_all();
  EXPECT_EQ(answer.find("chunked"), std::string::npos);
  EXPECT_TRUE(ends_with(answer, "\r\n\r\ndata: e0\n\n" + answer.substr(answer.find("data: e1\n")))) << answer;
}

TEST(HttpServer, an_announced_body_beyond_the_limit_gets_413_before_it_is_sent) {
  EchoServer server;
  HttpTestClient client(server.port());
  client.send("POST / HTTP/1.1\r\nContent-Length: 999000000000\r\n\r\n");
  const std::string answer = client.take_response();
  EXPECT_EQ(answer.substr(0, 12), "HTTP/1.1 413");
  EXPECT_TRUE(client.closed_by_server());
  EXPECT_EQ(server.num_answered, 0);
}

TEST(HttpServer, a_client_that_goes_on_sending_a_refused_body_still_reads_the_refusal) {
  EchoServer server;
  HttpTestClient client(server.port());
  client.send("POST / HTTP/1.1\r\nContent-Length: 9000000\r\n\r\n");
  client.send(std::string(1'000'000, 'x'));
  EXPECT_EQ(client.take_response().substr(0, 12), "HTTP/1.1 413");
}

TEST(HttpServer, content_length_beside_transfer_encoding_is_refused_and_the_connection_closed) {
  EchoServer server;
  HttpTestClient client(server.port());
  client.send(
      "POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled "
      "HTTP/1.1\r\n\r\n");
  const std::string answer = client.take_all();
  EXPECT_EQ(answer.substr(0, 12), "HTTP/1.1 400");
  EXPECT_EQ(answer.find("smuggled"), std::string::npos);
  EXPECT_EQ(server.num_answered, 0);
}

TEST(HttpServer, a_header_beyond_the_limit_gets_431) {
  EchoServer server;
  HttpTestClient client(server.port());
  client.send("GET / HTTP/1.1\r\nX: " + std::string(20'000, 'x'));
  EXPECT_EQ(client.take_all().substr(0, 12), "HTTP/1.1 431");
}

TEST(HttpServer, expect_100_continue_is_answered_before_the_body) {
  EchoServer server;
  HttpTestClient client(server.port());
  client.send("POST /c HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  EXPECT_EQ(client.take_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("body");
  EXPECT_TRUE(ends_with(client.take_response(), "POST /c body"));
}

TEST(HttpServer, who_dribbles_a_header_or_a_body_is_cut_off_and_holds_up_nobody) {
  HttpLimits limits;
  limits.header_timeout_ms = 300;
  limits.body_timeout_ms = 300;
  EchoServer server(limits);
  std::vector<HttpTestClient> dribblers;
  for (int i = 0; i < 40; ++i) {
    dribblers.emplace_back(server.port());
    dribblers.back().send(i % 2 == 0 ? "GET /never HTTP/1.1\r\nX: "
                                     : "POST /never HTTP/1.1\r\nContent-Length: 100\r\n\r\nb");
  }
  HttpTestClient honest(server.port());
  honest.send(post("/quick", "1"));
  EXPECT_TRUE(ends_with(honest.take_response(2'000), "POST /quick 1"));
  for (int round = 0; round < 8; ++round) {
    for (HttpTestClient& dribbler : dribblers) dribbler.send("x");
    std::this_thread::sleep_for(milliseconds(100));
  }
  for (HttpTestClient& dribbler : dribblers) EXPECT_EQ(dribbler.take_all().substr(0, 12), "HTTP/1.1 408");
}

TEST(HttpServer, an_idle_connection_is_closed_without_a_word) {
  HttpLimits limits;
  limits.header_timeout_ms = 200;
  limits.idle_timeout_ms = 200;
  EchoServer server(limits);
  HttpTestClient silent(server.port());
  EXPECT_EQ(silent.take_all(), "");
  HttpTestClient once(server.port());
  once.send(post("/once", ""));
  EXPECT_TRUE(ends_with(once.take_all(), "POST /once "));
}

TEST(HttpServer, bodies_in_work_are_bounded_together_and_given_back) {
  HttpLimits limits;
  limits.bodies_in_work_bytes = 1'000'000;
  limits.body_timeout_ms = 60'000;
  EchoServer server(limits);
  std::vector<HttpTestClient> holders;
  const std::string part = "POST / HTTP/1.1\r\nContent-Length: 300000\r\n\r\n" + std::string(290'000, 'x');
  for (int i = 0; i < 3; ++i) {
    holders.emplace_back(server.port());
    ASSERT_TRUE(holders.back().send(part));
  }
  std::this_thread::sleep_for(milliseconds(200));  // the three have been read
  EXPECT_LE(server.server().body_bytes_in_work(), limits.bodies_in_work_bytes);
  // Who holds a body back longest gives way to who sends one at once.
  HttpTestClient honest(server.port());
  honest.send(post("/big", std::string(290'000, 'x')));
  EXPECT_EQ(honest.take_response().substr(0, 12), "HTTP/1.1 200");
  EXPECT_EQ(holders[0].take_all().substr(0, 12), "HTTP/1.1 429");
  holders[1].send(std::string(10'000, 'x'));
  EXPECT_EQ(holders[1].take_response().substr(0, 12), "HTTP/1.1 200");
  holders.clear();
  HttpTestClient later(server.port());
  EXPECT_TRUE(soon([&] {
    HttpTestClient again(server.port());
    again.send(post("/big", std::string(290'000, 'x')));
    return again.take_response().substr(0, 12) == "HTTP/1.1 200";
  }));
}

TEST(HttpServer, a_body_larger_than_all_may_have_together_is_refused_itself) {
  HttpLimits limits;
  limits.bodies_in_work_bytes = 100'000;
  EchoServer server(limits);
  HttpTestClient client(server.port());
  client.send(post("/big", std::string(200'000, 'x')));
  EXPECT_EQ(client.take_all().substr(0, 12), "HTTP/1.1 429");
  EXPECT_TRUE(soon([&] { return server.server().body_bytes_in_work() == 0; }));
}

TEST(HttpServer, who_is_silent_longest_makes_room_when_all_connections_are_taken) {
  HttpLimits limits;
  limits.connections = 10;
  EchoServer server(limits);
  HttpTestClient at_work(server.port());
  at_work.send("GET /hold HTTP/1.1\r\n\r\n");
  std::vector<HttpTestClient> silent;
  for (int i = 0; i < 9; ++i) {
    silent.emplace_back(server.port());
    if (i % 3 == 1) silent.back().send("POST /half");
    if (i % 3 == 2) silent.back().send("POST /half HTTP/1.1\r\nContent-Length: 10\r\n\r\nx");
    std::this_thread::sleep_for(milliseconds(20));
  }
  std::this_thread::sleep_for(milliseconds(1'100));
  std::vector<HttpTestClient> honest;
  for (int i = 0; i < 9; ++i) {
    honest.emplace_back(server.port());
    honest.back().send(post("/in", ""));
    ASSERT_TRUE(ends_with(honest.back().take_response(), "POST /in ")) << i;
    EXPECT_TRUE(silent[i].closed_by_server(1'000)) << i;
    honest.back().send("GET /hold HTTP/1.1\r\n\r\n");
  }
  // All are at work now: nobody is ended for another's sake.
  HttpTestClient outside(server.port());
  EXPECT_EQ(outside.take_all().substr(0, 12), "HTTP/1.1 429");
  EXPECT_EQ(server.num_gone, 0);
}

TEST(HttpServer, what_cannot_be_http_is_refused_at_its_first_byte) {
  EchoServer server;
  for (const char first : {'\x16', '\0', '\xff', ' ', '}'}) {
    HttpTestClient client(server.port());
    client.send({&first, 1});
    EXPECT_EQ(client.take_all(5'000).substr(0, 12), "HTTP/1.1 400");
  }
}

TEST(HttpServer, connections_beyond_the_limit_are_told_so) {
  HttpLimits limits;
  limits.connections = 10;
  EchoServer server(limits);
  std::vector<HttpTestClient> held;
  for (int i = 0; i < 10; ++i) {
    held.emplace_back(server.port());
    held.back().send(post("/in", ""));
    ASSERT_EQ(held.back().take_response().substr(0, 12), "HTTP/1.1 200");
  }
  HttpTestClient outside(server.port());
  EXPECT_EQ(outside.take_all().substr(0, 12), "HTTP/1.1 429");
  held.clear();
  EXPECT_TRUE(soon([&] {
    HttpTestClient again(server.port());
    again.send(post("/in", ""));
    return again.take_response().substr(0, 12) == "HTTP/1.1 200";
  }));
}

TEST(HttpServer, a_client_that_leaves_is_noticed_while_its_answer_is_awaited) {
  EchoServer server;
  for (int round = 1; round <= 20; ++round) {
    HttpTestClient client(server.port());
    client.send("GET /hold HTTP/1.1\r\n\r\n");
    if (round % 2 == 0) client.send("GET /pipelined HTTP/1.1\r\n\r\n");
    std::this_thread::sleep_for(milliseconds(2));
    client.leave();
    EXPECT_TRUE(soon([&] { return server.num_gone == round; })) << round;
  }
}

TEST(HttpServer, a_slow_reader_costs_bounded_memory_and_is_cut_in_the_end) {
  HttpLimits limits;
  limits.write_timeout_ms = 300;
  EchoServer server(limits);
  HttpTestClient client(server.port(), 4096);
  client.send("GET /endless HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(soon([&] { return server.num_gone == 1; }));
  EXPECT_LT(server.events_put * 5000, 8 << 20);  // what the kernel took; the rest was never made
}

TEST(HttpServer, a_handler_that_fails_ends_its_own_connection_only) {
  EchoServer server;
  HttpTestClient other(server.port());
  other.send(post("/a", ""));
  other.take_response();
  HttpTestClient client(server.port());
  client.send(post("/throw", ""));
  EXPECT_EQ(client.take_all(), "");
  other.send(post("/b", ""));
  EXPECT_TRUE(ends_with(other.take_response(), "POST /b "));
}

TEST(HttpServer, stop_cuts_what_is_in_work_and_joins) {
  EchoServer server;
  HttpTestClient holding(server.port());
  holding.send("GET /hold HTTP/1.1\r\n\r\n");
  HttpTestClient streaming(server.port());
  streaming.send("GET /endless HTTP/1.1\r\n\r\n");
  HttpTestClient half(server.port());
  half.send("GET /ha");
  HttpTestClient silent(server.port());
  EXPECT_TRUE(soon([&] { return server.events_put > 0; }));
}  // the destructor must come back

// What a server does at SIGTERM, in small.
Task<void> drain_and_stop(HttpServer& server, std::atomic<int>& outcome, uint32_t timeout_ms) {
  co_await server.next_stop();
  server.drain();
  outcome = co_await server.drained(timeout_ms) ? 1 : 2;
  server.stop();
}

Task<void> watch_for_stop(HttpServer& server, std::atomic<int>& outcome, uint32_t timeout_ms) {
  co_await OnThreadOf{server.resume_queue()};
  co_await drain_and_stop(server, outcome, timeout_ms);
}

TEST(HttpServer, draining_closes_idle_connections_and_finishes_what_is_in_work) {
  EchoServer server;
  std::atomic<int> outcome{0};
  start_detached(watch_for_stop(server.server(), outcome, 20'000));
  HttpTestClient idle(server.port());
  idle.send(post("/a", ""));
  idle.take_response();
  HttpTestClient holding(server.port());
  holding.send("GET /hold HTTP/1.1\r\n\r\n");
  std::this_thread::sleep_for(milliseconds(50));
  server.server().ask_to_stop();
  EXPECT_TRUE(idle.closed_by_server());
  HttpTestClient late(server.port());
  late.send(post("/late", ""));
  const std::string answer = late.take_all();
  EXPECT_TRUE(ends_with(answer, "POST /late "));  // the handler's to refuse
  EXPECT_NE(answer.find("Connection: close"), std::string::npos);
  EXPECT_EQ(outcome, 0);
  holding.leave();
  server.server().join();
  EXPECT_EQ(outcome, 1);
}

TEST(HttpServer, a_second_stop_or_the_end_of_the_time_cuts_short) {
  for (const bool ask_twice : {true, false}) {
    EchoServer server;
    std::atomic<int> outcome{0};
    start_detached(watch_for_stop(server.server(), outcome, ask_twice ? 60'000 : 200));
    HttpTestClient holding(server.port());
    holding.send("GET /hold HTTP/1.1\r\n\r\n");
    std::this_thread::sleep_for(milliseconds(50));
    server.server().ask_to_stop();
    std::this_thread::sleep_for(milliseconds(50));
    if (ask_twice) server.server().ask_to_stop();
    server.server().join();
    EXPECT_EQ(outcome, 2);
    EXPECT_TRUE(holding.closed_by_server());
  }
}

Task<void> use_pool(TaskPool& pool, HttpServer& server, std::atomic<int>& sum, int number) {
  co_await OnThreadOf{server.resume_queue()};
  const std::thread::id home = std::this_thread::get_id();
  const int doubled = co_await pool.run([&] { return std::this_thread::get_id() == home ? -1'000'000 : 2 * number; });
  if (std::this_thread::get_id() == home) sum += doubled;
}

TEST(TaskPool, work_runs_elsewhere_and_its_coroutine_goes_on_at_home) {
  EchoServer server;
  std::atomic<int> sum{0};
  {
    TaskPool pool(2, server.server().resume_queue());
    for (int number = 0; number < 1000; ++number) start_detached(use_pool(pool, server.server(), sum, number));
    EXPECT_TRUE(soon([&] { return sum == 999'000; })) << sum;
  }
}

TEST(Listener, a_taken_port_and_a_wrong_host_are_refused_in_words) {
  EchoServer server;
  HttpServerOptions options;
  options.handler = [](HttpExchange&) -> Task<void> { co_return; };
  options.write_refusal = [](const HttpRefusal&) { return HttpResponse{}; };
  options.port = server.port();
  const auto taken = HttpServer::start(options, Clock::real());
  ASSERT_FALSE(taken.ok());
  EXPECT_NE(taken.error().message.find(std::to_string(server.port())), std::string::npos) << taken.error().message;
  options.port = 0;
  options.host = "300.300.300.300";
  const auto wrong = HttpServer::start(options, Clock::real());
  ASSERT_FALSE(wrong.ok());
  EXPECT_NE(wrong.error().message.find("300.300"), std::string::npos) << wrong.error().message;
}

}  // namespace
}  // namespace slipstream
