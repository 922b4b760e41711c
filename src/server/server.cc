#include "server/server.h"

#include <fmt/core.h>

#include <latch>
#include <utility>

#include "api/api_error.h"
#include "base/check.h"
#include "base/task.h"
#include "base/task_pool.h"
#include "http/http_server.h"
#include "server/answer.h"
#include "server/served_api.h"

namespace slipstream {
namespace {

constexpr uint32_t kLastWordsMs = 2'000;  // for answers that were cut off to say so

}  // namespace

struct Server::State {
  State(const ServerOptions& its_options, Clock clock) : options(its_options), api(options, clock) {}
  ~State() {
    // First the last handler ends; only then may the text threads go, and then the queue they post to.
    if (http != nullptr) http->end();
    text_threads.reset();
  }

  // The life of the server once the model is in, on the I/O thread.
  Task<void> live(ServedModel model, std::latch& begun) {
    co_await OnThreadOf{http->resume_queue()};
    api.begin(*engine, model, *text_threads, http->resume_queue());
    http->watch_signals();
    begun.count_down();
    co_await http->next_stop();
    api.drain();
    engine->drain();
    http->drain();
    const bool finished = co_await http->drained(options.shutdown_timeout_s * 1000);
    engine->stop();  // what has not ended ends with an error
    if (!finished) co_await http->drained(kLastWordsMs);
    http->stop();
  }

  const ServerOptions options;
  ServedApi api;
  std::unique_ptr<HttpServer> http;
  std::unique_ptr<TaskPool> text_threads;
  Engine* engine = nullptr;  // since begin()
};

Server::Server(std::unique_ptr<State> state) : state_(std::move(state)) {}
Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::open(const ServerOptions& options, Clock clock) {
  auto state = std::make_unique<State>(options, clock);
  HttpServerOptions http;
  http.host = options.host;
  http.port = options.port;
  http.limits = options.limits;
  http.handler = [api = &state->api](HttpExchange& exchange) { return api->answer(exchange); };
  http.admit_body = [api = &state->api](const HttpRequest& request) { return api->admit_body(request); };
  http.write_refusal = [api = &state->api](const HttpRefusal& refusal) { return api->refuse(refusal); };
  ASSIGN_OR_RETURN(state->http, HttpServer::start(std::move(http), clock));
  state->text_threads = std::make_unique<TaskPool>(options.text_threads, state->http->resume_queue(),
                                                   ApiKeys::num_clients(options.api_keys));
  return std::unique_ptr<Server>(new Server(std::move(state)));
}

uint16_t Server::port() const { return state_->http->port(); }

std::string Server::address() const {
  const std::string& host = state_->options.host;
  const bool is_ipv6 = host.find(':') != std::string::npos;
  return is_ipv6 ? fmt::format("http://[{}]:{}", host, port()) : fmt::format("http://{}:{}", host, port());
}

void Server::begin(Engine& engine, const ServedModel& model) {
  CHECK(state_->engine == nullptr, "a server begins once");
  CHECK(model.tokenizer != nullptr, "a served model has a tokenizer");
  state_->engine = &engine;
  std::latch begun(1);
  start_detached(state_->live(model, begun));
  begun.wait();
}

void Server::serve() {
  CHECK(state_->engine != nullptr, "begin() comes before serve()");
  state_->engine->run();
  state_->http->join();
}

void Server::shut_down() { state_->http->ask_to_stop(); }

}  // namespace slipstream
