#include "http/http_client.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "http/http_server.h"

namespace slipstream {
namespace {

// Answers "METHOD PATH BODY"; /events gives five, /close ends the connection with the answer, /hold never answers.
class AnsweringServer {
 public:
  explicit AnsweringServer(HttpLimits limits = {}) {
    HttpServerOptions options;
    options.limits = limits;
    options.handler = [this](HttpExchange& exchange) { return answer(exchange); };
    options.write_refusal = [](const HttpRefusal& refusal) {
      return HttpResponse{refusal.status, "text/plain", {}, ""};
    };
    auto started = HttpServer::start(std::move(options), Clock::real());
    CHECK(started.ok(), "{}", started.error().message);
    server_ = std::move(started).value();
  }
  HttpAddress address() const { return {"127.0.0.1", server_->port()}; }

 private:
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
    const HttpRequest& request = exchange.request();
    if (request.path == "/hold") co_await UntilGone{exchange, server_->resume_queue()};
    if (request.path == "/hold") co_return;
    if (request.path == "/events") {
      exchange.begin_events();
      for (int event = 0; event < 5; ++event) {
        exchange.put_event("event " + std::to_string(event));
        co_await exchange.flush();
      }
      co_await exchange.end_events();
      co_return;
    }
    HttpResponse response;
    response.status = request.path == "/missing" ? 404 : 200;
    response.body = request.method + " " + request.path + " " + request.body;
    co_await exchange.respond(std::move(response));
  }

  std::unique_ptr<HttpServer> server_;
};

// A client, and what a test does with it: the loop runs until that has ended.
class Clients {
 public:
  explicit Clients(HttpAddress address) : address_(std::move(address)), connector_(find()), client_(connector_) {}

  using Body = std::function<Task<void>(HttpClient& client)>;
  void run(const Body& body) {
    start_detached(run_and_stop(body));
    loop_.run();
  }
  std::string call(const std::string& method, const std::string& path, const std::string& body = "") const {
    return write_call({method, path, {}, body}, address_);
  }
  EventLoop& loop() { return loop_; }

 private:
  Connector find() {
    auto found = Connector::find(loop_, address_.host, address_.port);
    CHECK(found.ok(), "{}", found.error().message);
    return std::move(found).value();
  }
  Task<void> run_and_stop(const Body& body) {
    co_await body(client_);
    loop_.stop();
  }

  EventLoop loop_;
  const HttpAddress address_;
  const Connector connector_;
  HttpClient client_;
};

Task<std::string> body_of(HttpClient& client) {
  std::string body;
  while (true) {
    const Result<bool> more = co_await client.receive();
    body += client.take_body();
    if (!more.ok()) co_return body + "! " + more.error().message;
    if (!*more) co_return body;
  }
}

TEST(HttpClient, asks_again_and_again_on_one_connection) {
  AnsweringServer server;
  Clients clients(server.address());
  std::vector<std::string> answers;
  clients.run([&](HttpClient& client) -> Task<void> {
    for (int i = 0; i < 3; ++i) {
      const std::string call = clients.call("POST", "/p", "body" + std::to_string(i));
      const Result<int> status = co_await client.ask(call);
      EXPECT_EQ(status.value(), 200);
      std::string body = co_await body_of(client);
      answers.push_back(std::move(body));
    }
    const std::string call = clients.call("GET", "/missing");
    const Result<int> status = co_await client.ask(call);
    EXPECT_EQ(status.value(), 404);
  });
  EXPECT_EQ(answers, (std::vector<std::string>{"POST /p body0", "POST /p body1", "POST /p body2"}));
}

TEST(HttpClient, reads_an_event_stream_to_its_end_and_can_ask_again) {
  AnsweringServer server;
  Clients clients(server.address());
  std::vector<std::string> events;
  clients.run([&](HttpClient& client) -> Task<void> {
    for (int i = 0; i < 2; ++i) {
      const std::string call = clients.call("GET", "/events");
      const Result<int> status = co_await client.ask(call);
      EXPECT_EQ(status.value(), 200);
      for (bool more = true; more;) {
        while (auto event = client.next_event()) events.push_back(std::move(*event));
        const Result<bool> received = co_await client.receive();
        more = received.value();
      }
    }
  });
  ASSERT_EQ(events.size(), 10u);
  EXPECT_EQ(events.front(), "event 0");
  EXPECT_EQ(events.back(), "event 4");
}

TEST(HttpClient, an_idle_connection_that_the_server_has_closed_is_made_anew) {
  HttpLimits limits;
  limits.idle_timeout_ms = 20;
  AnsweringServer server(limits);
  Clients clients(server.address());
  Timer timer(clients.loop());
  clients.run([&](HttpClient& client) -> Task<void> {
    for (int i = 0; i < 2; ++i) {
      const std::string call = clients.call("POST", "/p", "x");
      const Result<int> status = co_await client.ask(call);
      EXPECT_TRUE(status.ok()) << status.error().message;
      const std::string body = co_await body_of(client);
      EXPECT_EQ(body, "POST /p x");
      if (i == 0) co_await timer.wait_ms(2500);  // the server looks at its clock once a second
    }
  });
}

TEST(HttpClient, a_silent_server_is_cut_off) {
  AnsweringServer server;
  Clients clients(server.address());
  Timer timer(clients.loop());
  std::string fault;
  const auto ask = [&](HttpClient& client) -> Task<void> {
    const std::string call = clients.call("GET", "/hold");
    const Result<int> status = co_await client.ask(call);
    fault = status.ok() ? "" : status.error().message;
  };
  const auto cut = [&](HttpClient& client) -> Task<void> {
    co_await timer.wait_ms(50);
    client.cut();
  };
  clients.run([&](HttpClient& client) -> Task<void> {
    std::vector<Task<void>> both;
    both.push_back(ask(client));
    both.push_back(cut(client));
    co_await WhenAll(std::move(both));
  });
  EXPECT_EQ(fault, "the server was silent for too long");
}

TEST(HttpClient, where_nobody_listens_is_one_sentence) {
  HttpAddress address;
  {
    AnsweringServer server;
    address = server.address();
  }
  Clients clients(address);
  std::string fault;
  clients.run([&](HttpClient& client) -> Task<void> {
    const std::string call = clients.call("GET", "/");
    const Result<int> status = co_await client.ask(call);
    fault = status.ok() ? "" : status.error().message;
  });
  EXPECT_EQ(fault, fmt::format("cannot connect to 127.0.0.1 port {}: Connection refused", address.port));
}

TEST(HttpAddress, is_read_from_a_url) {
  const auto read = [](std::string_view url) {
    const Result<HttpAddress> address = read_http_address(url);
    return address.ok() ? fmt::format("{} {}", address->host, address->port) : "refused";
  };
  EXPECT_EQ(read("http://127.0.0.1:8000"), "127.0.0.1 8000");
  EXPECT_EQ(read("http://localhost:8000/"), "localhost 8000");
  EXPECT_EQ(read("http://[::1]:81"), "::1 81");
  EXPECT_EQ(read("http://host"), "host 80");
  for (const char* const wrong : {"", "host:80", "https://host", "http://", "http://:80", "http://host:",
                                  "http://host:x", "http://host:99999", "http://host:80/v1",
                                  "http://[::1", "http://[::1]80"})
    EXPECT_EQ(read(wrong), "refused") << wrong;
}

TEST(HttpClient, a_call_is_written_with_what_it_needs) {
  EXPECT_EQ(write_call({"GET", "/v1/models", {{"Authorization", "Bearer k"}}, ""}, {"::1", 80}),
            "GET /v1/models HTTP/1.1\r\nHost: [::1]:80\r\nAuthorization: Bearer k\r\n\r\n");
  EXPECT_EQ(write_call({"POST", "/p", {}, "{}"}, {"host", 8000}),
            "POST /p HTTP/1.1\r\nHost: host:8000\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
}

}  // namespace
}  // namespace slipstream
