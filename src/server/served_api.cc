#include "server/served_api.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "api/answer_writer.h"
#include "api/api_error.h"
#include "api/json_text.h"
#include "server/cache_page.h"
#include "server/metrics_page.h"
#include "server/tokenize_pages.h"

namespace slipstream {
namespace {

// One more while it lives.
class Counted {
 public:
  explicit Counted(uint32_t& number) : number_(number) { ++number_; }
  ~Counted() { --number_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  uint32_t& number_;
};

}  // namespace

ServedApi::ServedApi(const ServerOptions& options, Clock clock)
    : served_model_name_(options.served_model_name),
      version_(options.version),
      stall_ns_(uint64_t{options.stall_timeout_s} * 1'000'000'000),
      keys_(options.api_keys),
      cache_keys_(options.cache_keys),
      reply_headers_(options.allowed_origins),
      clock_(clock),
      created_(unix_time_s()),
      draws_(options.random_seed) {}

void ServedApi::begin(Engine& engine, const ServedModel& model, TaskPool& text_threads, ResumeQueue& reader) {
  engine_ = &engine;
  model_ = model;
  text_threads_ = &text_threads;
  reader_ = &reader;
}

Task<void> ServedApi::answer(HttpExchange& exchange) {
  for (HttpHeader& header : headers_for(exchange.request().headers)) exchange.add_header(std::move(header));
  co_await answer_route(exchange);
  if (exchange.status() != 0) ++responses_[exchange.status()];
}

std::optional<HttpRefusal> ServedApi::admit_body(const HttpRequest& request) const {
  if (match_route(request.method, request.path).open || keys_.find(request.header("Authorization"))) return {};
  return HttpRefusal{401, "no key"};
}

HttpResponse ServedApi::refuse(const HttpRefusal& refusal) {
  HttpResponse response =
      error_response(refusal.status == 401 ? wrong_key_error() : api_error(refusal.status, refusal.message));
  for (HttpHeader& header : headers_for(refusal.headers)) response.headers.push_back(std::move(header));
  ++responses_[response.status];
  return response;
}

std::vector<HttpHeader> ServedApi::headers_for(const std::vector<HttpHeader>& request) {
  return reply_headers_.of(request, "req_" + draws_.next_id());
}

Task<void> ServedApi::answer_route(HttpExchange& exchange) {
  const HttpRequest& request = exchange.request();
  const RouteMatch match = match_route(request.method, request.path);
  const bool needs_model = match.route == Route::kChat || match.route == Route::kCompletions ||
                           match.route == Route::kTokenize || match.route == Route::kDetokenize;
  const std::optional<uint32_t> client = keys_.find(request.header("Authorization"));
  const Caller caller{.client = client.value_or(0), .arrived_ns = clock_.now_ns()};
  HttpResponse response;
  if (!match.open && !client) {
    response = error_response(wrong_key_error());
  } else if (const std::optional<Error> refusal = needs_model ? not_ready() : std::nullopt) {
    response = error_response(api_error(*refusal));
  } else if (match.route == Route::kChat) {
    co_return co_await handle_chat(exchange, caller);
  } else if (match.route == Route::kCompletions) {
    co_return co_await handle_completions(exchange, caller);
  } else if (match.route == Route::kTokenize) {
    co_return co_await handle_page(exchange, caller, tokenize_page);
  } else if (match.route == Route::kDetokenize) {
    co_return co_await handle_page(exchange, caller, detokenize_page);
  } else {
    response = page(match, request);
  }
  co_await exchange.respond(std::move(response));
}

std::optional<Error> ServedApi::not_ready() const {
  const auto unavailable = [](const char* why) { return Error{ErrorKind::kUnavailable, why, {}, {}}; };
  if (engine_ == nullptr) return unavailable("The model is still loading; try again later.");
  if (draining_) return unavailable("The server is shutting down and takes no new requests.");
  if (stalled()) return unavailable("The engine does not get on; try again later.");
  return std::nullopt;
}

Task<void> ServedApi::handle_chat(HttpExchange& exchange, Caller caller) {
  Result<Asked> asked = co_await text_threads_->run(
      [this, &exchange] { return read_chat(exchange.request().body, model_, served_model_name_); }, caller.client);
  co_await generate(exchange, caller, std::move(asked));
}

Task<void> ServedApi::handle_completions(HttpExchange& exchange, Caller caller) {
  Result<Asked> asked = co_await text_threads_->run(
      [this, &exchange] { return read_completion(exchange.request().body, model_, served_model_name_); },
      caller.client);
  co_await generate(exchange, caller, std::move(asked));
}

Task<void> ServedApi::handle_page(HttpExchange& exchange, Caller caller, MakePage make) {
  const Result<std::string> page = co_await text_threads_->run(
      [this, &exchange, make] { return make(exchange.request().body, model_, served_model_name_); }, caller.client);
  exchange.drop_body();
  if (exchange.client_gone()) co_return;
  HttpResponse response;
  if (page.ok()) response.body = *page;
  else response = error_response(api_error(page.error()));
  co_await exchange.respond(std::move(response));
}

Task<void> ServedApi::generate(HttpExchange& exchange, Caller caller, Result<Asked> asked) {
  exchange.drop_body();
  if (exchange.client_gone()) co_return;
  std::optional<Error> refusal;
  if (!asked.ok()) {
    refusal = std::move(asked).error();
  } else {
    asked->client = caller.client;
    asked->cache_key = cache_keys_.of(caller.client, asked->generation.cache_salt);
    if (asked->generation.cache_salt) asked->wider_cache_key = cache_keys_.of(caller.client, std::nullopt);
    asked->arrived_ns = caller.arrived_ns;
    const AnswerWriter writer(asked->kind, draws_.next_id(), unix_time_s(), served_model_name_);
    const bool stream = asked->generation.stream;
    Result<std::unique_ptr<Answer>> answer =
        Answer::begin(std::move(*asked), *engine_, model_.tokenizer->table(), draws_, *reader_);
    if (answer.ok()) {
      if (num_answers_ == 0) busy_since_ns_ = clock_.now_ns();
      const Counted in_work(num_answers_);
      if (stream) co_await (*answer)->respond_events(exchange, writer);
      else co_await (*answer)->respond_whole(exchange, writer);
      co_return;
    }
    refusal = std::move(answer).error();
  }
  HttpResponse response = error_response(api_error(*refusal));
  co_await exchange.respond(std::move(response));
}

HttpResponse ServedApi::page(const RouteMatch& match, const HttpRequest& request) const {
  HttpResponse response;
  switch (match.route) {
    case Route::kModels:
      response.body = write_model_list(served_model_name_, created_, model_.max_model_len);
      return response;
    case Route::kModel:
      if (match.rest != served_model_name_) {
        return error_response(api_error(unknown_model(match.rest, served_model_name_)));
      }
      response.body = write_model(served_model_name_, created_, model_.max_model_len);
      return response;
    case Route::kCacheStats:
    case Route::kClearCache:
      return cache_page(match.route);
    case Route::kVersion:
      response.body = fmt::format(R"({{"version":{}}})", json_string(version_));
      return response;
    case Route::kHealth:
      return health_page();
    case Route::kReady:
      if (const std::optional<Error> refusal = not_ready()) return error_response(api_error(*refusal));
      response.body = R"({"status":"ready"})";
      return response;
    case Route::kMetrics:
      return metrics_page();
    case Route::kOptions:
      response.headers = reply_headers_.preflight(request.headers, match.allow);
      response.headers.push_back({"Allow", std::string(match.allow)});
      return response;
    case Route::kWrongMethod:
      response = error_response(api_error(405, fmt::format("{} is not a method of {}; {} is.",
                                                           shortened(request.method), shortened(request.path),
                                                           match.method)));
      response.headers.push_back({"Allow", std::string(match.allow)});
      return response;
    default:
      return error_response(api_error(404, fmt::format("There is nothing at {}.", shortened(request.path))));
  }
}

// Alive, and getting on. Loading counts as not yet: whoever waits for 200 here can ask right after.
HttpResponse ServedApi::health_page() const {
  HttpResponse response;
  if (engine_ == nullptr || stalled()) {
    response.status = 503;
    response.headers.push_back({"Retry-After", "1"});
  }
  response.body = engine_ == nullptr ? R"({"status":"loading"})"
                  : stalled()        ? R"({"status":"stalled"})"
                  : draining_        ? R"({"status":"draining"})"
                                     : R"({"status":"ok"})";
  return response;
}

// Whoever has a key may clear the cache: all of it, whoever filled it. No answer changes by that.
HttpResponse ServedApi::cache_page(Route route) const {
  if (engine_ == nullptr) return error_response(api_error(*not_ready()));
  HttpResponse response;
  if (route == Route::kClearCache) {
    engine_->clear_cache();
    response.body = R"({"object":"cache","deleted":true})";
  } else {
    response.body = write_cache_stats(engine_->stats(), model_.kv_block_bytes);
  }
  return response;
}

HttpResponse ServedApi::metrics_page() const {
  MetricsInput input{.engine = engine_ == nullptr ? EngineStats() : engine_->stats(),
                     .loaded = engine_ != nullptr,
                     .model_name = served_model_name_,
                     .version = version_,
                     .responses = responses_};
  HttpResponse response;
  response.content_type = kMetricsContentType;
  response.body = write_metrics(input);
  return response;
}

// There has been work for long, and no step ended.
bool ServedApi::stalled() const {
  if (engine_ == nullptr || num_answers_ == 0) return false;
  const uint64_t last_ns = std::max(busy_since_ns_, engine_->stats().last_step_ns);
  const uint64_t now_ns = clock_.now_ns();
  return now_ns > last_ns && now_ns - last_ns > stall_ns_;
}

}  // namespace slipstream
