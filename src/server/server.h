// The door: OpenAI's API over HTTP in front of one Engine. Used by app/serve.
//
// Life:  open()   binds the port; the I/O thread starts; every /v1 route answers 503 "loading"
//        ... the caller loads the model ...
//        begin()  requests are taken, SIGTERM and SIGINT are watched
//        serve()  the calling thread becomes the engine thread and runs Engine::run(); returns after SIGTERM or SIGINT,
//                 when the answers in work have been finished (or shutdown_timeout_s has passed)
// Until begin() signals do what they do by default: a load is simply killed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "api/generation_params.h"
#include "base/clock.h"
#include "base/result.h"
#include "engine/engine.h"
#include "http/http_limits.h"
#include "server/cache_key.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace slipstream {

struct ServerOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 8000;                 // 0: any free one, see Server::port()
  std::string served_model_name;        // what clients call the model
  std::vector<std::string> api_keys;    // each passes check_api_key(); none: open to everyone who reaches the port
  CacheKeys cache_keys = CacheKeys({}, {});  // of its clients, under a random secret; as it is here: for tests
  std::vector<std::string> allowed_origins;  // whose pages browsers show our answers to (ReplyHeaders); none: nobody's
  std::string version;                  // of the program, for /version
  uint64_t random_seed = 0;             // from the random device: ids of answers, seeds of requests that bring none
  uint32_t text_threads = 2;            // parse, render, encode
  uint32_t shutdown_timeout_s = 30;     // after SIGTERM, for the answers in work
  uint32_t stall_timeout_s = 60;        // /health fails when no step ended for so long while there is work
  HttpLimits limits;
};

// What is served, besides the engine. Everything outlives the server.
struct ServedModel {
  const Tokenizer* tokenizer = nullptr;
  const ChatTemplate* chat_template = nullptr;  // null: the model has none, chat is refused in words
  uint32_t vocab_size = 0;                      // token ids of a prompt are below it (ModelConfig::vocab_size)
  uint32_t max_model_len = 0;                   // = EngineOptions::max_model_len
  GenerationDefaults defaults = {};             // where a request says nothing
  uint64_t kv_block_bytes = 0;                  // of one block of the engine's, for /v1/cache/stats
};

class Server {
 public:
  // Error: the address cannot be had.
  static Result<std::unique_ptr<Server>> open(const ServerOptions& options, Clock clock);
  ~Server();

  uint16_t port() const;        // the bound one
  std::string address() const;  // "http://127.0.0.1:8000"

  // Returns when requests are taken: they wait for serve(). Once. The engine outlives serve(), and has
  // ApiKeys::num_clients(api_keys) clients.
  void begin(Engine& engine, const ServedModel& model);
  // Engine thread from here on; see above. Once, after begin().
  void serve();

  // Any thread: what SIGTERM does. A second call (or signal) cuts the answers in work short.
  void shut_down();

 private:
  struct State;
  explicit Server(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace slipstream
