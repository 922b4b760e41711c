// A real Server and Engine over real sockets, whose model is the EchoExecutor with a vocabulary of all bytes: what an
// answer must be can be said without it (echo_answer). The engine's steps can be held and let go one by one.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/thread_pool.h"
#include "echo_executor.h"
#include "engine/engine.h"
#include "server/server.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace slipstream {

// Lets the engine step only as often as it is allowed to.
class GatedExecutor final : public Executor {
 public:
  explicit GatedExecutor(const EchoOptions& options) : echo_(options) {}

  Logits run(const StepInput& input) override;
  uint32_t vocab_size() const override { return echo_.vocab_size(); }
  uint32_t max_rows() const override { return echo_.max_rows(); }
  uint32_t max_slices() const override { return echo_.max_slices(); }
  uint32_t max_logit_rows() const override { return echo_.max_logit_rows(); }
  size_t block_bytes() const override { return echo_.block_bytes(); }
  void save_block(BlockId block, std::span<std::byte> into) const override { echo_.save_block(block, into); }
  void load_block(BlockId block, std::span<const std::byte> from) override { echo_.load_block(block, from); }

  // Any thread.
  void hold();                 // no further step ends ...
  void allow(uint64_t steps);  // ... but so many
  void open();                 // all may
  void fail_next() { fail_ = true; }

 private:
  EchoExecutor echo_;  // engine thread
  std::atomic<bool> fail_{false};
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  bool open_ = true;
  uint64_t allowed_ = 0;
};

struct EchoServerOptions {
  ServerOptions server;
  EngineOptions engine;
  EchoServerOptions();
};

// The greedy answer to some tokens: text up to and without a stop string, why it ended, and how many tokens it took.
struct EchoAnswer {
  std::string text;
  std::string finish_reason;
  uint32_t num_tokens = 0;
};
struct EchoQuestion {
  std::vector<TokenId> prompt;
  uint32_t max_tokens = 0;
  std::string stop{};
  bool ignore_eos = true;
  uint32_t max_model_len = 4096;
};
EchoAnswer echo_answer(const Tokenizer& tokenizer, const EchoQuestion& question);
Tokenizer byte_tokenizer();  // the server's: a token for each byte, <|im_start|>, <|im_end|>

class EchoServer {
 public:
  explicit EchoServer(EchoServerOptions options = {});
  ~EchoServer();  // shut_down() and wait

  uint16_t port() const { return server_->port(); }
  Engine& engine() { return *engine_; }
  GatedExecutor& executor() { return executor_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }
  Server& server() { return *server_; }
  // Waits until serve() has returned.
  void join();

  using Expected = EchoAnswer;
  Expected echo_answer(std::vector<TokenId> prompt, uint32_t max_tokens, const std::string& stop = "",
                       bool ignore_eos = true) const;

 private:
  const EchoServerOptions options_;
  Tokenizer tokenizer_;
  ChatTemplate chat_template_;
  ThreadPool pool_{1};
  GatedExecutor executor_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Server> server_;
  std::thread engine_thread_;
};

// ---- what clients of these tests send and read ----

std::string post(const std::string& path, const std::string& body, const std::string& headers = "");
// {"model":"echo","prompt":[1,2,3],<fields>}
std::string completion_body(const std::vector<TokenId>& prompt, const std::string& fields);
int status_of(const std::string& response);
std::string body_of(const std::string& response);  // chunks joined

// The events of a stream, checked: each is an object or [DONE], which comes last; id and created stay the same; a
// role comes first and once for each choice. Faults say what was wrong.
struct StreamedChoice {
  std::string text;
  std::string finish_reason;
  uint32_t num_chunks = 0;
};
struct Streamed {
  std::vector<StreamedChoice> choices;
  std::string fault;                                                       // empty: none
  std::string error_type;                                                  // of an error event
  int64_t prompt_tokens = -1, completion_tokens = -1, cached_tokens = -1;  // of a usage chunk
  bool done = false;
};
Streamed read_stream(const std::string& body);

template <class Condition>
bool soon(const Condition& condition, int seconds = 20) {
  for (int i = 0; i < seconds * 1000 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return condition();
}

}  // namespace slipstream
