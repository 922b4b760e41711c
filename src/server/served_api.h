// Every route, and the life of each kind of request. I/O thread only.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/resume_queue.h"
#include "base/task.h"
#include "base/task_pool.h"
#include "engine/engine.h"
#include "http/http_exchange.h"
#include "server/answer.h"
#include "server/api_keys.h"
#include "server/asked.h"
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

 private:
  Task<void> handle_chat(HttpExchange& exchange);
  Task<void> handle_completions(HttpExchange& exchange);
  Task<void> generate(HttpExchange& exchange, Result<Asked> asked);
  HttpResponse page(const RouteMatch& match, const HttpRequest& request) const;
  HttpResponse health_page() const;
  bool stalled() const;
  // Why no request is taken now, if so.
  std::optional<Error> not_ready() const;

  // Constant after construction.
  const std::string served_model_name_;
  const std::string version_;
  const uint64_t stall_ns_;
  const ApiKeys keys_;
  const Clock clock_;
  const int64_t created_;            // of the model, in its page: the start of this server

  // Null until begin().
  Engine* engine_ = nullptr;
  ServedModel model_;
  TaskPool* text_threads_ = nullptr;
  ResumeQueue* reader_ = nullptr;

  RandomDraws draws_;
  bool draining_ = false;
  uint32_t num_answers_ = 0;         // being generated
  uint64_t busy_since_ns_ = 0;       // when num_answers_ last rose from 0
};

}  // namespace slipstream
