// slipstream bench interval: servers that send text at every token, every 5, every 10: what that costs and saves, and
// that nothing is lost: the text is the same. One server after the other, each in turns with the same load through an
// engine in this process, which is the limit of its throughput.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <utility>

#include "app/benchmarks.h"
#include "app/child_server.h"
#include "app/http_load.h"
#include "app/measured_engine.h"
#include "app/progress_bar.h"
#include "base/percentile.h"

namespace slipstream {
namespace {

struct IntervalLoads {
  uint32_t interval = 1;
  std::vector<Load> http;    // [rounds]
  std::vector<Load> engine;  // [rounds]
};

LoadPlan plan_of(const LoadOptions& options, uint32_t vocab_size, uint64_t seed) {
  LoadPlan plan;
  plan.num_streams = plan.num_requests = options.interval_streams;
  plan.prompt_tokens = options.prompt_tokens;
  plan.max_tokens = options.max_tokens;
  plan.vocab_size = vocab_size;
  plan.seed = seed;
  return plan;
}

Result<IntervalLoads> measure(MeasuredEngine& engine, const LoadOptions& options, uint32_t interval,
                              const TokensDone& tokens_done) {
  IntervalLoads loads;
  loads.interval = interval;
  std::vector<std::string> arguments = engine.serve_arguments();
  arguments.insert(arguments.end(), {"--stream-interval", std::to_string(interval)});
  ASSIGN_OR_RETURN(const auto server, ChildServer::start(arguments));
  ASSIGN_OR_RETURN(const HttpTarget target, find_target(server->address(), ""));
  for (uint32_t round = 0; round <= options.rounds; ++round) {  // the first one, of few tokens, is not counted
    LoadPlan plan = plan_of(options, engine.config().vocab_size, round);
    if (round == 0) plan.max_tokens = std::min(plan.max_tokens, 2u);
    const TokensDone& told = round == 0 ? TokensDone() : tokens_done;
    ASSIGN_OR_RETURN(Load alone, engine.run(plan, told));
    ASSIGN_OR_RETURN(Load load, run_http_load(plan, target, told));
    if (const LoadNumbers numbers = numbers_of({&load, 1}); numbers.num_faults > 0)
      return outside("a request failed: {}", numbers.first_fault);
    if (round == 0) continue;
    loads.engine.push_back(std::move(alone));
    loads.http.push_back(std::move(load));
  }
  return loads;
}

// Answers whose text is not that of the same request at the first interval.
uint32_t num_different(const std::vector<Load>& loads, const std::vector<Load>& first) {
  uint32_t different = 0;
  for (size_t round = 0; round < loads.size(); ++round) {
    for (size_t request = 0; request < loads[round].size(); ++request)
      different += loads[round][request].text != first[round][request].text;
  }
  return different;
}

double rate_of(const std::vector<Load>& loads) {
  std::vector<double> rates;
  for (const Load& load : loads) rates.push_back(tokens_per_second(load));
  return median(std::move(rates));
}

void add_figures(const IntervalLoads& loads, const IntervalLoads& first, const std::string& name, uint32_t max_tokens,
                 Figures& figures) {
  const LoadNumbers http = numbers_of(loads.http), engine = numbers_of(loads.engine);
  const std::string at = fmt::format("interval {} {}", name, loads.interval);
  figures.push_back({.name = at, .value = rate_of(loads.http), .unit = "tokens/s", .limit = rate_of(loads.engine)});
  // At most: the first token, then every `interval`, and what is left at the end. Fewer where a reader is slow, or a
  // token no whole character.
  const double most = 1 + std::ceil((max_tokens - 1.0) / loads.interval);
  figures.push_back({.name = at + " events for a token", .value = http.pieces_per_token, .unit = "events",
                     .limit = most / max_tokens});
  figures.push_back({.name = at + " ITL P50", .value = http.between.p50_ms, .unit = "ms",
                     .limit = engine.between.p50_ms * loads.interval, .more_is_better = false});
  figures.push_back({.name = at + " ITL P99", .value = http.between.p99_ms, .unit = "ms", .more_is_better = false});
  figures.push_back({.name = at + " answers with another text",
                     .value = static_cast<double>(num_different(loads.http, first.http)), .unit = "answers",
                     .more_is_better = false, .goal = 0});
}

}  // namespace

Result<Figures> bench_interval(const MeasuredModelOptions& model, const LoadOptions& options) {
  require_one_model(model.compute.model, model.compute.dummy);
  serve_arguments_of(model);  // throws where a server has no such thing
  const EngineRoom room{options.interval_streams, options.prompt_tokens + options.max_tokens};
  ASSIGN_OR_RETURN(const auto engine, MeasuredEngine::open(model, room));
  const uint64_t total = uint64_t{2} * options.intervals.size() * options.rounds * options.interval_streams *
                         options.max_tokens;
  uint64_t done = 0;
  const LoadProgress bar = terminal_progress("intervals", ProgressUnit::kTokens);
  const TokensDone tokens_done = [&](uint64_t more) {
    done += more;
    if (bar) bar(done, total);
  };
  std::vector<IntervalLoads> all;
  for (const uint32_t interval : options.intervals) {
    ASSIGN_OR_RETURN(IntervalLoads loads, measure(*engine, options, interval, tokens_done));
    all.push_back(std::move(loads));
  }
  Figures figures;
  for (const IntervalLoads& loads : all)
    add_figures(loads, all.front(), model.short_name(), options.max_tokens, figures);
  return figures;
}

}  // namespace slipstream
