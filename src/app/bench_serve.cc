// slipstream bench serve: what clients of a server see, over HTTP. Where it starts the server itself, the same load
// through an engine in this process is the limit of each figure; the two take turns, since a machine's speed drifts.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

#include "app/benchmarks.h"
#include "app/child_server.h"
#include "app/http_load.h"
#include "app/measured_engine.h"
#include "app/progress_bar.h"
#include "base/percentile.h"

namespace slipstream {
namespace {

constexpr uint32_t kRequestsAtRate = 32;
constexpr uint32_t kSafeVocabulary = 256;  // a server at a URL does not say how many tokens its model has
constexpr uint32_t kGoalStreams = 16;
constexpr double kGoalOverheadPercent = 4;

struct Sides {
  std::vector<Load> http;    // [rounds]
  std::vector<Load> engine;  // [rounds]; empty: not measured
};

std::vector<double> rates_of(std::span<const Load> loads) {
  std::vector<double> rates;
  for (const Load& load : loads) rates.push_back(tokens_per_second(load));
  return rates;
}

// Figures of one load, named "serve SHAPE 16 ...".
class ServeFigures {
 public:
  ServeFigures(std::string name, const Sides& sides, Figures& figures)
      : name_(std::move(name)), sides_(sides), figures_(figures) {}

  void add_all(const LoadPlan& plan) {
    const LoadNumbers http = numbers_of(sides_.http);
    const LoadNumbers engine = numbers_of(sides_.engine);
    add_throughput(plan);
    add_spread("TTFT first event", http.first_event, engine.first_event);
    add_spread("TTFT first text", http.first_text, engine.first_text);
    add_spread("ITL", http.between, engine.between);
    add({.name = " failed", .value = static_cast<double>(http.num_faults), .unit = "requests", .more_is_better = false,
         .goal = 0});
  }

 private:
  void add(Figure figure) {
    figure.name = name_ + figure.name;
    figures_.push_back(std::move(figure));
  }

  void add_throughput(const LoadPlan& plan) {
    Figure rate{.name = "", .value = median(rates_of(sides_.http)), .unit = "tokens/s"};
    if (plan.request_rate > 0) rate.limit = plan.request_rate * plan.max_tokens;  // what is asked for
    if (sides_.engine.empty()) return add(std::move(rate));
    const std::vector<double> engine = rates_of(sides_.engine), http = rates_of(sides_.http);
    rate.limit = median(engine);
    add(std::move(rate));
    std::vector<double> percents;
    for (size_t round = 0; round < http.size(); ++round) percents.push_back((1 - http[round] / engine[round]) * 100);
    Figure overhead{.name = " HTTP overhead", .value = median(percents), .unit = "%", .more_is_better = false};
    if (plan.num_streams == kGoalStreams) overhead.goal = kGoalOverheadPercent;
    add(std::move(overhead));
  }

  void add_spread(const char* what, const Spread& http, const Spread& engine) {
    const auto add_one = [&](const char* which, double value, double limit) {
      Figure figure{.name = fmt::format(" {} {}", what, which), .value = value, .unit = "ms", .more_is_better = false};
      if (!sides_.engine.empty()) figure.limit = limit;
      add(std::move(figure));
    };
    add_one("P50", http.p50_ms, engine.p50_ms);
    add_one("P99", http.p99_ms, engine.p99_ms);
  }

  const std::string name_;
  const Sides& sides_;
  Figures& figures_;
};

// The server, and the engine beside it where there is one, and what is asked of both.
class ServeBenchmark {
 public:
  ServeBenchmark(const MeasuredModelOptions& model, const LoadOptions& options) : model_(model), options_(options) {}

  Result<Figures> run() {
    RETURN_IF_ERROR(open());
    const std::vector<LoadPlan> plans = plans_to_run();
    uint64_t total = 0, done = 0;
    for (const LoadPlan& plan : plans)
      total += uint64_t{plan.num_requests} * plan.max_tokens * options_.rounds * (engine_ ? 2 : 1);
    const LoadProgress bar = terminal_progress("requests", ProgressUnit::kTokens);
    const TokensDone tokens_done = [&](uint64_t more) {
      done += more;
      if (bar) bar(done, total);
    };
    const std::string name = options_.url.empty() ? model_.short_name() : target_.model;
    Figures figures;
    for (const LoadPlan& plan : plans) {
      ASSIGN_OR_RETURN(const Sides sides, measure(plan, tokens_done));
      const std::string how = plan.request_rate > 0 ? fmt::format("{:g}/s", plan.request_rate)
                                                    : std::to_string(plan.num_streams);
      ServeFigures(fmt::format("serve {} {}", name, how), sides, figures).add_all(plan);
      const LoadNumbers numbers = numbers_of(sides.http);
      if (numbers.num_faults == plan.num_requests * options_.rounds)
        return outside("no request was answered: {}", numbers.first_fault);
      if (numbers.num_faults > 0) fmt::print(stderr, "slipstream: a request failed: {}\n", numbers.first_fault);
    }
    return figures;
  }

 private:
  bool has_rate() const { return options_.request_rate > 0; }

  Status open() {
    HttpAddress address;
    vocab_size_ = kSafeVocabulary;
    if (!options_.url.empty()) {
      ASSIGN_OR_RETURN(address, read_http_address(options_.url));
    } else {
      RETURN_IF_ERROR(start_server());
      address = server_->address();
    }
    ASSIGN_OR_RETURN(target_, find_target(address, options_.api_key));
    target_.chat = options_.chat;
    return ok_status();
  }

  Status start_server() {
    std::vector<std::string> arguments = serve_arguments_of(model_);
    // Requests at random times, and words, have no counterpart without HTTP.
    if (has_rate() || options_.chat) {
      ASSIGN_OR_RETURN(const ModelPath found, model_.compute.find());
      ASSIGN_OR_RETURN(const Checkpoint checkpoint, open_found(found));
      vocab_size_ = checkpoint.config.vocab_size;
      arguments.push_back("--continuous-batching");
    } else {
      const uint32_t most_streams = *std::ranges::max_element(options_.streams);
      const EngineRoom room{most_streams, options_.prompt_tokens + options_.max_tokens};
      ASSIGN_OR_RETURN(engine_, MeasuredEngine::open(model_, room));
      vocab_size_ = engine_->config().vocab_size;
      arguments = engine_->serve_arguments();
    }
    ASSIGN_OR_RETURN(server_, ChildServer::start(arguments));
    return ok_status();
  }

  std::vector<LoadPlan> plans_to_run() const {
    LoadPlan plan;
    plan.prompt_tokens = options_.prompt_tokens;
    plan.max_tokens = options_.max_tokens;
    plan.vocab_size = vocab_size_;
    plan.request_rate = options_.request_rate;
    plan.num_requests = options_.num_requests != 0 ? options_.num_requests : kRequestsAtRate;
    if (has_rate()) return {plan};
    std::vector<LoadPlan> plans;
    for (const uint32_t streams : options_.streams) {
      plan.num_streams = streams;
      if (options_.num_requests == 0) plan.num_requests = 2 * streams;
      plans.push_back(plan);
    }
    return plans;
  }

  Result<Sides> measure(LoadPlan plan, const TokensDone& tokens_done) {
    Sides sides;
    RETURN_IF_ERROR(warm_up(plan));
    for (uint32_t round = 0; round < options_.rounds; ++round) {
      plan.seed = ++num_loads_ + (options_.seed << 32);  // no prompt twice: the server would remember it
      const bool http_first = round % 2 == 1;
      if (engine_ && !http_first) RETURN_IF_ERROR(run_engine(plan, tokens_done, sides));
      ASSIGN_OR_RETURN(Load load, run_http_load(plan, target_, tokens_done));
      sides.http.push_back(std::move(load));
      if (engine_ && http_first) RETURN_IF_ERROR(run_engine(plan, tokens_done, sides));
    }
    return sides;
  }

  Status run_engine(const LoadPlan& plan, const TokensDone& tokens_done, Sides& sides) {
    ASSIGN_OR_RETURN(Load load, engine_->run(plan, tokens_done));
    sides.engine.push_back(std::move(load));
    return ok_status();
  }

  // The first use of memory is slow.
  Status warm_up(LoadPlan plan) {
    plan.seed = ++num_loads_ + (options_.seed << 32);
    plan.request_rate = 0;
    plan.num_streams = plan.num_requests = std::min(plan.num_streams, plan.num_requests);
    plan.max_tokens = std::min(plan.max_tokens, 2u);
    RETURN_IF_ERROR(run_http_load(plan, target_, {}));
    if (engine_) RETURN_IF_ERROR(engine_->run(plan, {}));
    return ok_status();
  }

  const MeasuredModelOptions& model_;
  const LoadOptions& options_;
  std::unique_ptr<MeasuredEngine> engine_;  // null: none beside the server
  std::unique_ptr<ChildServer> server_;     // null: it is at a URL
  HttpTarget target_;
  uint32_t vocab_size_ = 0;
  uint64_t num_loads_ = 0;
};

}  // namespace

Result<Figures> bench_serve(const MeasuredModelOptions& model, const LoadOptions& options) {
  const bool has_model = !model.compute.model.empty() || !model.compute.dummy.empty();
  if (options.url.empty()) {
    if (!has_model) throw CLI::RequiredError("MODEL, --dummy or --url");
    serve_arguments_of(model);  // throws where a server has no such thing
  } else if (has_model) {
    throw CLI::ValidationError("MODEL, --url", "give one of the two");
  }
  return ServeBenchmark(model, options).run();
}

}  // namespace slipstream
