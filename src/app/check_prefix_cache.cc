// slipstream check prefix-cache: four requests of two chats, and one that begins otherwise, through a real engine. What
// must be reused is derived from the tokens alone: the longest beginning that any earlier request has computed, but
// never the last token, whose logits are needed.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/checks.h"
#include "app/local_engine.h"
#include "engine/capacity.h"
#include "server/cache_report.h"

namespace slipstream {
namespace {

constexpr uint32_t kAnswerTokens = 8;
constexpr const char* kSystem =
    "You are the assistant of a small town library. You answer in plain words and in at most three sentences. You know "
    "the opening hours: Monday to Friday from nine to six, Saturday from ten to two. You never invent a book, and when "
    "you do not know something you say so and name the desk where people are glad to help. You greet nobody twice.";
constexpr const char* kOtherSystem =
    "Answer as a ship's cook of the last century would, and always mention the weather.";

struct Step {
  const char* name;
  const char* what;
  const char* system;
  const char* question;
};

constexpr Step kSteps[] = {
    {"1a", "first prompt", kSystem, "When can I bring back a book on Saturday?"},
    {"1b", "the same again", kSystem, "When can I bring back a book on Saturday?"},
    {"1c", "same system prompt", kSystem, "Which desk helps me to find an old map?"},
    {"1d", "that variant again", kSystem, "Which desk helps me to find an old map?"},
    {"1e", "another beginning", kOtherSystem, "What is for supper?"},
};

Result<std::vector<TokenId>> encode(const ModelText& text, const Step& step) {
  if (!text.chat_template) return text.tokenizer.encode(fmt::format("{}\n\n{}", step.system, step.question), true);
  const nlohmann::json messages = {{{"role", "system"}, {"content", step.system}},
                                   {{"role", "user"}, {"content", step.question}}};
  ChatTemplateInput input;
  input.messages_json = messages.dump();
  ASSIGN_OR_RETURN(const std::vector<TextPiece> pieces, text.chat_template->render(input));
  return text.tokenizer.encode_pieces(pieces, false);
}

uint32_t common_tokens(std::span<const TokenId> left, std::span<const TokenId> right) {
  return static_cast<uint32_t>(std::ranges::mismatch(left, right).in1 - left.begin());
}

std::string status_text(uint32_t reused, uint32_t num_prompt_tokens) {
  if (reused == 0) return "MISS";
  return reused + 1 == num_prompt_tokens ? "HIT" : fmt::format("PREFIX_HIT({})", reused);
}

// All prompts, tokens of the longest of them and its answer.
struct Prompts {
  std::vector<std::vector<TokenId>> prompts;  // [kSteps]
  uint32_t longest = 0;
};

Result<Prompts> encode_steps(const ModelText& text) {
  Prompts all;
  for (const Step& step : kSteps) {
    ASSIGN_OR_RETURN(std::vector<TokenId> tokens, encode(text, step));
    all.longest = std::max(all.longest, static_cast<uint32_t>(tokens.size()));
    all.prompts.push_back(std::move(tokens));
  }
  all.longest += kAnswerTokens;
  return all;
}

Result<bool> run_steps(const Prompts& all, LocalEngine& engine) {
  bool all_right = true;
  double first_s = 0;
  std::vector<std::vector<TokenId>> computed;  // of the requests before
  fmt::print("{:<5}{:<20}{:>7}  {:<18}{:<18}{:>7}{:>10}{:>10}  {}\n", "step", "prompt", "tokens", "expected", "is",
             "cached", "TTFT", "speed-up", "why not more");
  for (size_t index = 0; index < all.prompts.size(); ++index) {
    const std::vector<TokenId>& prompt = all.prompts[index];
    const auto num_tokens = static_cast<uint32_t>(prompt.size());
    uint32_t common = 0;
    for (const std::vector<TokenId>& before : computed) common = std::max(common, common_tokens(prompt, before));
    ASSIGN_OR_RETURN(const size_t request, engine.ask(prompt, kAnswerTokens));
    RETURN_IF_ERROR(engine.step_until_all_ended());
    const LocalAnswer& answer = engine.answers()[request];
    std::vector<TokenId>& known = computed.emplace_back(prompt);
    // The last token of an answer is never computed.
    known.insert(known.end(), answer.tokens.begin(), answer.tokens.end() - 1);
    const std::string expected = status_text(std::min(common, num_tokens - 1), num_tokens);
    const std::string is = status_text(answer.cached_tokens, num_tokens);
    if (index == 0) first_s = answer.first_token_s;
    fmt::print("{:<5}{:<20}{:>7}  {:<18}{:<18}{:>7}{:>7.1f} ms{:>9.1f}x  {}{}\n", kSteps[index].name,
               kSteps[index].what, num_tokens, expected, is, answer.cached_tokens, answer.first_token_s * 1e3,
               first_s / answer.first_token_s, reuse_reason(answer.reuse, answer.cached_tokens),
               expected == is ? "" : "  WRONG");
    all_right = all_right && expected == is;
  }
  return all_right;
}

}  // namespace

Result<bool> check_prefix_cache(const MeasuredModelOptions& options) {
  ThreadPool pool = options.compute.make_pool();
  ASSIGN_OR_RETURN(const CpuExecutorOptions executor_options, options.compute.executor_options());
  ASSIGN_OR_RETURN(const OpenedModel model, load_measured_model(options, pool));
  ASSIGN_OR_RETURN(const Prompts all, encode_steps(model.text));
  EngineOptions engine_options;
  engine_options.block_tokens = executor_options.block_tokens;
  engine_options.max_model_len = all.longest;
  const auto blocks_each = static_cast<uint32_t>(blocks_for(all.longest, engine_options.block_tokens));
  engine_options.num_blocks = (blocks_each + 1) * static_cast<uint32_t>(all.prompts.size());  // nothing is forgotten
  engine_options.max_step_ms = 0;
  ASSIGN_OR_RETURN(const auto executor, make_executor(model, engine_options, executor_options, pool));
  {  // What runs first runs cold: code and weights that no processor has touched. Not the cache's doing.
    LocalEngine warming(engine_options, *executor, pool);
    ASSIGN_OR_RETURN(const size_t request, warming.ask(all.prompts.back(), 1));
    RETURN_IF_ERROR(warming.step_until_first_token(request));
  }
  LocalEngine engine(engine_options, *executor, pool);
  fmt::print("{}\n\n", options.describe(model));
  ASSIGN_OR_RETURN(const bool all_right, run_steps(all, engine));
  fmt::print("\n{}\n", all_right ? "every row is right" : "a row is wrong: not all was reused that was there, or more");
  return all_right;
}

}  // namespace slipstream
