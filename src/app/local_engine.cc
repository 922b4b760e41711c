#include "app/local_engine.h"

#include <algorithm>
#include <utility>

#include "base/random.h"

namespace slipstream {

LocalEngine::LocalEngine(const EngineOptions& options, Executor& executor, ThreadPool& pool, BlockStore* store)
    : engine_(options, executor, pool, nullptr, clock_, store) {}

Result<size_t> LocalEngine::ask(std::vector<TokenId> prompt, uint32_t max_tokens) {
  Request request;
  request.prompt = std::move(prompt);
  request.sampling.temperature = 0;
  request.max_tokens = max_tokens;
  request.ignore_eos = true;
  return ask(std::move(request));
}

Result<size_t> LocalEngine::ask(Request request) {
  LocalAnswer answer;
  answer.num_prompt_tokens = static_cast<uint32_t>(request.prompt.size());
  request.report_tokens = true;
  const double now_s = clock_.now_s();
  ASSIGN_OR_RETURN(TextStream stream, engine_.submit(std::move(request), nullptr));
  streams_.push_back(std::move(stream));
  asked_s_.push_back(now_s);
  answers_.push_back(std::move(answer));
  return answers_.size() - 1;
}

Status LocalEngine::step() {
  if (!engine_.step() && !all_ended()) return outside("requests wait, and none of them can run");
  for (size_t request = 0; request < streams_.size(); ++request) {
    LocalAnswer& answer = answers_[request];
    while (!answer.ended) {
      const std::optional<TextEvent> event = streams_[request].try_next();
      if (!event) break;
      if (event->error) return *event->error;
      if (answer.tokens.empty() && !event->tokens.empty()) {
        answer.first_token_s = clock_.now_s() - asked_s_[request];
        answer.cached_tokens = event->cached_tokens;
        answer.reuse = event->reuse;
      }
      answer.tokens.insert(answer.tokens.end(), event->tokens.begin(), event->tokens.end());
      answer.ended = event->finish.has_value();
      if (answer.ended) answer.whole_s = clock_.now_s() - asked_s_[request];
    }
  }
  return ok_status();
}

Status LocalEngine::step_until_first_token(size_t request) {
  while (answers_[request].tokens.empty()) RETURN_IF_ERROR(step());
  return ok_status();
}

Status LocalEngine::step_until_all_ended() {
  while (!all_ended()) RETURN_IF_ERROR(step());
  return ok_status();
}

void LocalEngine::end() {
  engine_.stop();
  engine_.run();
}

bool LocalEngine::all_ended() const { return std::ranges::all_of(answers_, &LocalAnswer::ended); }

Result<std::unique_ptr<CpuExecutor>> make_executor(const OpenedModel& model, const EngineOptions& engine_options,
                                                   CpuExecutorOptions options, ThreadPool& pool) {
  options.block_tokens = engine_options.block_tokens;
  options.num_blocks = engine_options.num_blocks;
  options.max_context = engine_options.max_model_len;
  options.max_slices = engine_options.max_num_seqs;
  return CpuExecutor::make(model.config, model.weights, pool, options);
}

std::vector<TokenId> made_up_tokens(uint64_t seed, size_t num_tokens, uint32_t vocab_size) {
  std::vector<TokenId> tokens(num_tokens);
  for (size_t index = 0; index < num_tokens; ++index)
    tokens[index] = static_cast<TokenId>(splitmix64(seed, index) % vocab_size);
  return tokens;
}

std::vector<TokenId> made_up_prompt(uint64_t shared_seed, size_t num_shared, uint64_t own_seed, size_t num_own,
                                    uint32_t vocab_size) {
  std::vector<TokenId> prompt = made_up_tokens(shared_seed, num_shared, vocab_size);
  const std::vector<TokenId> own = made_up_tokens(own_seed, num_own, vocab_size);
  prompt.insert(prompt.end(), own.begin(), own.end());
  return prompt;
}

}  // namespace slipstream
