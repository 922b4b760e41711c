// Every route, and the life of each kind of request. I/O thread only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/resume_queue.h"
#include "base/task.h"
#include "base/task_pool.h"
#include "engine/engine.h"
#include "http/http_exchange.h"
#include "http/request_parser.h"
#include "server/answer.h"
#include "server/api_keys.h"
#include "server/asked.h"
#include "server/cache_key.h"
#include "server/reply_headers.h"
#include "server/routes.h"
#include "server/server.h"

namespace slipstream {

class ServedApi {
 public:
  ServedApi(const ServerOptions& options, Clock clock);

  // The model is in; from now on requests are taken. All of it outlives the last answer().
  void begin(Engine& engine, const ServedModel& model, TaskPool& text_threads, ResumeQueue& reader);
  // New requests are refused from now on.
  void drain() { draining_ = true; }

  Task<void> answer(HttpExchange& exchange);
  // A body without a key is not read: who has none cannot take up what all bodies together may.
  std::optional<HttpRefusal> admit_body(const HttpRequest& request) const;
  // What HTTP itself refuses, in OpenAI's words.
  HttpResponse refuse(const HttpRefusal& refusal);

 private:
  // Who asks, and since when.
  struct Caller {
    uint32_t client = 0;
    uint64_t arrived_ns = 0;
  };
  Task<void> answer_route(HttpExchange& exchange);
  Task<void> handle_chat(HttpExchange& exchange, Caller caller);
  Task<void> handle_completions(HttpExchange& exchange, Caller caller);
  // A page that takes words or tokens and runs on a text thread.
  using MakePage = Result<std::string> (*)(std::string_view body, const ServedModel& model, std::string_view name);
  Task<void> handle_page(HttpExchange& exchange, Caller caller, MakePage make);
  Task<void> generate(HttpExchange& exchange, Caller caller, Result<Asked> asked);
  HttpResponse page(const RouteMatch& match, const HttpRequest& request) const;
  HttpResponse health_page() const;
  HttpResponse cache_page(Route route) const;
  HttpResponse metrics_page() const;
  std::vector<HttpHeader> headers_for(const std::vector<HttpHeader>& request);
  bool stalled() const;
  // Why no request is taken now, if so.
  std::optional<Error> not_ready() const;

  // Constant after construction.
  const std::string served_model_name_;
  const std::string version_;
  const uint64_t stall_ns_;
  const ApiKeys keys_;
  const CacheKeys cache_keys_;
  const ReplyHeaders reply_headers_;
  const Clock clock_;
  const int64_t created_;            // of the model, in its page: the start of this server

  // Null until begin().
  Engine* engine_ = nullptr;
  ServedModel model_;
  TaskPool* text_threads_ = nullptr;
  ResumeQueue* reader_ = nullptr;

  RandomDraws draws_;
  std::map<int, uint64_t> responses_;  // number of answers that were begun, by status
  bool draining_ = false;
  uint32_t num_answers_ = 0;         // being generated
  uint64_t busy_since_ns_ = 0;       // when num_answers_ last rose from 0
};

}  // namespace slipstream
