// slipstream bench sharing: users whose prompts begin alike, all running at once. Saved = 1 - blocks in use / blocks
// that the same sequences would hold if each had its own. The limit is what sharing of whole blocks allows: the full
// blocks of the common beginning once.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "app/benchmarks.h"
#include "app/local_engine.h"
#include "engine/capacity.h"

namespace slipstream {
namespace {

constexpr uint32_t kMaxAnswerTokens = 26;
// One after the other, the last user must come before the first one's answer has ended.
constexpr uint32_t kArrivalSteps = 20;

struct Crowd {
  uint32_t num_users;
  uint32_t shared_tokens;
  uint32_t own_tokens;
  double goal_percent;
};
constexpr Crowd kCrowds[] = {{10, 512, 32, 80}, {10, 500, 50, 70}, {10, 2000, 50, 84}, {50, 2000, 50, 92}};

EngineOptions engine_options(const Crowd& crowd, uint32_t block_tokens) {
  EngineOptions options;
  options.block_tokens = block_tokens;
  options.max_model_len = crowd.shared_tokens + crowd.own_tokens + kMaxAnswerTokens;
  // None need share.
  options.num_blocks = crowd.num_users * static_cast<uint32_t>(blocks_for(options.max_model_len, block_tokens));
  options.max_num_seqs = crowd.num_users;
  options.max_step_ms = 0;
  return options;
}

// Until each user has a token. Error: one of them had ended by then.
Status let_all_run(const Crowd& crowd, bool at_once, uint32_t vocab_size, LocalEngine& engine) {
  const uint32_t users_a_step = at_once ? crowd.num_users : (crowd.num_users + kArrivalSteps - 1) / kArrivalSteps;
  for (uint32_t user = 0; user < crowd.num_users;) {
    const uint32_t end = std::min(crowd.num_users, user + users_a_step);
    const uint32_t first = user;
    for (; user < end; ++user) {
      RETURN_IF_ERROR(engine.ask(
          made_up_prompt(1, crowd.shared_tokens, 100 + user, crowd.own_tokens, vocab_size), kMaxAnswerTokens));
    }
    RETURN_IF_ERROR(engine.step_until_first_token(first));
  }
  const auto is_silent = [](const LocalAnswer& answer) { return answer.tokens.empty(); };
  while (std::ranges::any_of(engine.answers(), is_silent)) RETURN_IF_ERROR(engine.step());
  if (engine.stats().num_running != crowd.num_users)
    return outside("{} of {} users still ran when all had begun", engine.stats().num_running, crowd.num_users);
  return ok_status();
}

Result<Figure> measure(const Crowd& crowd, bool at_once, const OpenedModel& model,
                       const CpuExecutorOptions& executor_options, ThreadPool& pool) {
  const EngineOptions options = engine_options(crowd, executor_options.block_tokens);
  ASSIGN_OR_RETURN(const auto executor, make_executor(model, options, executor_options, pool));
  LocalEngine engine(options, *executor, pool);
  RETURN_IF_ERROR(let_all_run(crowd, at_once, model.config.vocab_size, engine));

  // The last token of each is drawn and not computed: it has no slot yet.
  uint64_t unshared = 0;
  for (const LocalAnswer& answer : engine.answers())
    unshared += blocks_for(answer.num_tokens() - 1, options.block_tokens);
  const uint32_t spared = (crowd.num_users - 1) * (crowd.shared_tokens / options.block_tokens);
  const auto percent = [unshared](uint64_t blocks) {
    return 100.0 * static_cast<double>(blocks) / static_cast<double>(unshared);
  };
  Figure figure;
  figure.name = fmt::format("{} users x ({} shared + {} own), {}", crowd.num_users, crowd.shared_tokens,
                            crowd.own_tokens, at_once ? "all at once" : "one after the other");
  figure.value = percent(unshared - std::min<uint64_t>(unshared, engine.stats().blocks_in_use));
  figure.unit = "% of KV saved";
  figure.limit = percent(spared);
  // Goals are for the usual blocks; larger ones share less.
  if (options.block_tokens <= 64) figure.goal = crowd.goal_percent;
  return figure;
}

}  // namespace

Result<Figures> bench_sharing(const MeasuredModelOptions& options) {
  ThreadPool pool = options.compute.make_pool();
  ASSIGN_OR_RETURN(const CpuExecutorOptions executor_options, options.compute.executor_options());
  ASSIGN_OR_RETURN(const OpenedModel model, load_measured_model(options, pool));
  Figures figures;
  for (const Crowd& crowd : kCrowds) {
    for (const bool at_once : {false, true}) {
      ASSIGN_OR_RETURN(Figure figure, measure(crowd, at_once, model, executor_options, pool));
      figures.push_back(std::move(figure));
    }
  }
  return figures;
}

}  // namespace slipstream
