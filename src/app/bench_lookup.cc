// slipstream bench lookup: what prompt lookup (serve --speculative prompt-lookup) gains on answers that repeat their
// request, and what it costs on answers that do not. Each question is asked without and with it, in turns, in the same
// run; the two answers must be the same tokens.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/benchmarks.h"
#include "app/local_engine.h"
#include "app/progress_bar.h"
#include "base/percentile.h"

namespace slipstream {
namespace {

constexpr uint32_t kRounds = 12;  // each side is the first in half of them
constexpr uint32_t kAnswerTokens = 200;  // at most
constexpr uint32_t kMaxLength = 1024;
constexpr double kGoal = 0.98;  // no request takes more than 2 % longer

constexpr const char* kCode =
    "def read_settings(path):\n"
    "    settings = {}\n"
    "    with open(path) as file:\n"
    "        for number, line in enumerate(file, 1):\n"
    "            line = line.strip()\n"
    "            if not line or line.startswith('#'):\n"
    "                continue\n"
    "            if '=' not in line:\n"
    "                raise ValueError(f'{path}:{number}: expected key = value')\n"
    "            key, value = line.split('=', 1)\n"
    "            settings[key.strip()] = value.strip()\n"
    "    return settings\n";
constexpr const char* kText =
    "The harbour of the old town was built in 1623 by fishermen who had left the northern islands after three hard "
    "winters. They brought with them nine boats, a bell and the habit of painting their doors blue. Within a "
    "generation the village had a market, a school and a small yard in which ships of up to forty tons were repaired. "
    "In 1701 a storm destroyed most of the quay; it was rebuilt in granite from the quarry at Lund, and the blocks can "
    "still be seen at low tide.";

struct Question {
  const char* name;
  const char* words;
  const char* material;  // behind them
  double temperature;
};
constexpr Question kQuestions[] = {
    {"code with one name changed", "Rewrite this function with the name settings changed to options:\n", kCode, 0},
    {"code with a line added", "Add a docstring to this function and give the whole function:\n", kCode, 0},
    {"a text repeated", "Repeat the following text word for word:\n", kText, 0},
    {"sentences quoted", "Quote the sentences of this text that mention a year:\n", kText, 0},
    {"a story", "Write a short story about a baker who finds a map in a loaf.", "", 0},
    {"a story, temperature 1", "Write a short story about a baker who finds a map in a loaf.", "", 1},
    {"noise, temperature 2", "Write words that do not belong together.", "", 2},
};

Result<std::vector<TokenId>> encode(const ModelText& text, const Question& question) {
  const std::string content = fmt::format("{}{}", question.words, question.material);
  if (!text.chat_template) return text.tokenizer.encode(content, true);
  ChatTemplateInput input;
  input.messages_json = nlohmann::json{{{"role", "user"}, {"content", content}}}.dump();
  ASSIGN_OR_RETURN(const std::vector<TextPiece> pieces, text.chat_template->render(input));
  return text.tokenizer.encode_pieces(pieces, false);
}

// One engine without drafts and one with, in turns on one executor. Nothing is cached: each computes its own prompts.
struct Pair {
  LocalEngine without;
  LocalEngine with;
};

struct Turn {
  std::vector<TokenId> tokens;
  double answer_s = 0;  // from the first token to the last
};

Result<Turn> take_turn(const Request& request, LocalEngine& engine) {
  ASSIGN_OR_RETURN(const size_t index, engine.ask(request));
  RETURN_IF_ERROR(engine.step_until_all_ended());
  const LocalAnswer& answer = engine.answers()[index];
  return Turn{answer.tokens, answer.whole_s - answer.first_token_s};
}

Status measure(const Question& question, const Request& request, Pair& engines, Figures& figures) {
  const EngineStats before = engines.with.stats();
  std::vector<double> without_s;
  std::vector<double> with_s;
  std::vector<double> ratios;
  size_t num_tokens = 0;
  for (uint32_t round = 0; round < kRounds; ++round) {
    Turn without, with;
    for (const bool drafts : {round % 2 != 0, round % 2 == 0}) {
      ASSIGN_OR_RETURN((drafts ? with : without), take_turn(request, drafts ? engines.with : engines.without));
    }
    if (without.tokens != with.tokens) return outside("{}: another answer with drafts", question.name);
    num_tokens = with.tokens.size();
    if (num_tokens < 2) return outside("{}: an answer of {} tokens says nothing", question.name, num_tokens);
    without_s.push_back(without.answer_s);
    with_s.push_back(with.answer_s);
    ratios.push_back(without.answer_s / with.answer_s);
  }
  const EngineStats after = engines.with.stats();
  const auto of_round = [](uint64_t number) { return static_cast<double>(number) / kRounds; };
  const auto rate = [&](const std::vector<double>& seconds) {
    return static_cast<double>(num_tokens - 1) / median(seconds);
  };
  const std::string name = fmt::format("lookup {}", question.name);
  figures.push_back({name + ", without", rate(without_s), "tokens/s", {}, true, {}});
  figures.push_back({name + ", with", rate(with_s), "tokens/s", {}, true, {}});
  figures.push_back({name + ", ratio", median(ratios), "x", {}, true, kGoal});
  figures.push_back({name + ", drafts", of_round(after.num_draft_tokens - before.num_draft_tokens), "tokens", {}, true,
                     {}});
  figures.push_back({name + ", accepted", of_round(after.num_accepted_tokens - before.num_accepted_tokens), "tokens",
                     static_cast<double>(num_tokens - 1), true, {}});
  return ok_status();
}

}  // namespace

Result<Figures> bench_lookup(const MeasuredModelOptions& options) {
  ThreadPool pool = options.compute.make_pool();
  ASSIGN_OR_RETURN(CpuExecutorOptions executor_options, options.compute.executor_options());
  ASSIGN_OR_RETURN(const OpenedModel model, load_measured_model(options, pool));
  EngineOptions engine_options;
  engine_options.block_tokens = executor_options.block_tokens;
  engine_options.max_model_len = std::min(kMaxLength, model.config.max_position_embeddings);
  engine_options.num_blocks = engine_options.max_model_len / engine_options.block_tokens + 1;
  engine_options.prefix_cache = false;
  engine_options.eos_tokens = model.config.eos_tokens;
  executor_options.max_logit_rows = 1 + kMaxDrafts;
  ASSIGN_OR_RETURN(const auto executor, make_executor(model, engine_options, executor_options, pool));
  EngineOptions with_drafts = engine_options;
  with_drafts.max_drafts = kMaxDrafts;
  Pair engines{LocalEngine(engine_options, *executor, pool), LocalEngine(with_drafts, *executor, pool)};
  Figures figures;
  const LoadProgress progress = terminal_progress("answers", ProgressUnit::kTokens);
  for (size_t index = 0; index < std::size(kQuestions); ++index) {
    const Question& question = kQuestions[index];
    Request request;
    ASSIGN_OR_RETURN(request.prompt, encode(model.text, question));
    request.sampling.temperature = question.temperature;
    request.sampling.seed = 1;
    request.max_tokens = kAnswerTokens;
    RETURN_IF_ERROR(measure(question, request, engines, figures));
    if (progress) progress((index + 1) * kAnswerTokens, std::size(kQuestions) * kAnswerTokens);
  }
  return figures;
}

}  // namespace slipstream
