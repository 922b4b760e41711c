// The answer of one request alone, by a plain loop over its definition: no engine, no blocks, no batch.
#include <algorithm>
#include <memory>

#include "sample/logit_rules.h"
#include "sample/logprobs.h"
#include "sample/sampler.h"
#include "text/detokenizer.h"
#include "world.h"

namespace slipstream {
namespace {

class PlainLoop {
 public:
  PlainLoop(const World& world, const Request& request, const TokenTable& table)
      : world_(world),
        request_(request),
        model_(table.num_tokens(), world.echo_period),
        detokenizer_(&table),
        scratch_(sampler_scratch_bytes(table.num_tokens()) + 64) {}

  Answer run() {
    read_prompt();
    const auto prompt_tokens = static_cast<uint32_t>(request_.prompt.size());
    const uint32_t max_tokens = std::min(request_.max_tokens, world_.options.max_model_len - prompt_tokens);
    answer_.finish = FinishReason::kLength;
    while (answer_.num_tokens < max_tokens && !put(draw(), answer_.num_tokens + 1 == max_tokens)) {}
    if (!request_.report_tokens) answer_.tokens.clear();
    return answer_;
  }

 private:
  void read_prompt() {
    for (size_t i = 0; i < request_.prompt.size(); ++i) {
      if (i > 0 && request_.prompt_logprobs) add_logprobs(request_.prompt[i], answer_.prompt_logprobs);
      model_.put(request_.prompt[i]);
    }
  }

  void add_logprobs(TokenId token, std::vector<TokenLogprob>& out) {
    std::vector<TokenLogprob> found(1 + *request_.top_logprobs);
    find_logprobs(model_.logits(), token, found);
    out.insert(out.end(), found.begin(), found.end());
  }

  // Counted afresh each time: what the engine keeps over preemption and chunks must come to the same.
  TokenId draw() {
    const auto position = static_cast<uint32_t>(request_.prompt.size()) + answer_.num_tokens;
    TokenCounts counts(position);
    for (const TokenId token : request_.prompt) counts.add_prompt(token);
    for (const TokenId token : answer_.tokens) counts.add_output(token);
    std::vector<float> logits(model_.logits().begin(), model_.logits().end());
    apply_logit_rules(logits, request_.sampling,
                      needs_counts(request_.sampling) ? std::move(counts) : TokenCounts());
    if (answer_.num_tokens < request_.min_tokens) {
      ban_tokens(logits, world_.options.eos_tokens.empty() || request_.ignore_eos
                             ? std::span<const TokenId>()
                             : std::span(world_.options.eos_tokens));
      ban_tokens(logits, request_.stop_tokens);
    }
    void* aligned = scratch_.data();
    size_t space = scratch_.size();
    std::align(64, space - 64, aligned, space);
    return sample_token(logits, request_.sampling, {position, request_.choice},
                        {static_cast<std::byte*>(aligned), space});
  }

  // True: it was the last.
  bool put(TokenId token, bool is_last) {
    const bool is_eos = !request_.ignore_eos && std::ranges::count(world_.options.eos_tokens, token) > 0;
    const bool is_stop = std::ranges::count(request_.stop_tokens, token) > 0;
    const bool has_text = !is_eos && (!is_stop || request_.include_stop);
    if (has_text && request_.top_logprobs) {
      answer_.text_begins.push_back(answer_.text.size());
      add_logprobs(token, answer_.logprobs);
    }
    model_.put(token);
    answer_.tokens.push_back(token);
    ++answer_.num_tokens;
    is_last |= is_eos || is_stop;
    const size_t begin = answer_.text.size();
    if (has_text) detokenizer_.put(token, answer_.text);
    if (has_text && request_.top_logprobs) has_text_.push_back(answer_.text.size() > begin || detokenizer_.holds());
    if (is_last) detokenizer_.finish(answer_.text);
    if (answer_.num_tokens <= request_.min_tokens) text_without_stops_ = answer_.text.size();
    if (cut_at_stop() || is_eos || is_stop) answer_.finish = FinishReason::kStop;
    return is_last || answer_.finish == FinishReason::kStop;
  }

  // The first place where a stop string ends; of those that end there, the longest.
  bool cut_at_stop() {
    const std::string_view text = std::string_view(answer_.text).substr(text_without_stops_);
    for (size_t end = 1; end <= text.size(); ++end) {
      size_t longest = 0;
      for (const std::string& stop : request_.stop) {
        if (text.substr(0, end).ends_with(stop)) longest = std::max(longest, stop.size());
      }
      if (longest == 0) continue;
      answer_.text.resize(text_without_stops_ + end - (request_.include_stop ? 0 : longest));
      while (!answer_.text_begins.empty() &&
             (answer_.text_begins.back() > answer_.text.size() ||
              (answer_.text_begins.back() == answer_.text.size() && has_text_.back()))) {
        answer_.text_begins.pop_back();
        has_text_.pop_back();
        answer_.logprobs.resize(answer_.logprobs.size() - 1 - *request_.top_logprobs);
      }
      return true;
    }
    return false;
  }

  const World& world_;
  const Request& request_;
  EchoModel model_;
  Detokenizer detokenizer_;
  std::vector<std::byte> scratch_;
  Answer answer_;
  std::vector<bool> has_text_;  // [answer_.text_begins.size()]
  size_t text_without_stops_ = 0;  // of the first min_tokens: no stop string begins there
};

}  // namespace

Answer echo_answer(const World& world, const Request& request, const TokenTable& table) {
  return PlainLoop(world, request, table).run();
}

}  // namespace slipstream
