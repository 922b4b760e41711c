// slipstream bench WHAT [MODEL]: a row of the table below is a benchmark; each has its file, bench_NAME.cc. Exit
// status 1: a figure misses its goal.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/benchmarks.h"
#include "app/commands.h"

namespace slipstream {
namespace {

using Run = std::function<Result<Figures>()>;

struct Benchmark {
  const char* name;
  const char* help;
  // Adds its own options to the command, and gives what runs when they are parsed. `model` outlives that.
  Run (*add_to)(CLI::App& command, const MeasuredModelOptions& model);
};

// A benchmark without options of its own.
template <Result<Figures> (*run)(const MeasuredModelOptions&)>
Run add_plain(CLI::App&, const MeasuredModelOptions& model) {
  return [&model] { return run(model); };
}

using SpeedBenchmark = Result<Figures> (*)(const MeasuredModelOptions&, const SpeedOptions&);

void add_context(CLI::App& command, SpeedOptions& speed) {
  command.add_option("--context", speed.context, "tokens that each sequence has before the steps that are measured")
      ->check(CLI::Range(1u, 1u << 20))
      ->capture_default_str();
}
void add_batches(CLI::App& command, SpeedOptions& speed) {
  add_context(command, speed);
  command.add_option("--batch", speed.batches, "sequences of a step, one number or several: 1,5,16")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(1u, 256u))
      ->capture_default_str();
}
void add_prompts(CLI::App& command, SpeedOptions& speed) {
  command.add_option("--prompt", speed.prompts, "tokens of a prompt, one number or several: 512,2048")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(1u, 1u << 20))
      ->capture_default_str();
}

template <SpeedBenchmark run, void (*add_options)(CLI::App&, SpeedOptions&)>
Run add_speed(CLI::App& command, const MeasuredModelOptions& model) {
  const auto speed = std::make_shared<SpeedOptions>();
  add_options(command, *speed);
  return [speed, &model] { return run(model, *speed); };
}

using LoadBenchmark = Result<Figures> (*)(const MeasuredModelOptions&, const LoadOptions&);

template <LoadBenchmark run, void (*add_options)(CLI::App&, LoadOptions&)>
Run add_load(CLI::App& command, const MeasuredModelOptions& model) {
  const auto load = std::make_shared<LoadOptions>();
  add_options(command, *load);
  return [load, &model] { return run(model, *load); };
}

constexpr Benchmark kBenchmarks[] = {
    {"machine", "what this machine can do at the most", &add_plain<&bench_machine>},
    {"tune", "which way of reading weights is the fastest here; the best is remembered", &add_plain<&bench_tune>},
    {"decode", "tokens a second of one running answer, beside the machine's limit",
     &add_speed<&bench_decode, &add_context>},
    {"batch", "tokens a second of several answers together, beside the machine's limit",
     &add_speed<&bench_batch, &add_batches>},
    {"prefill", "tokens a second of a prompt, beside the machine's limit", &add_speed<&bench_prefill, &add_prompts>},
    {"serve", "what clients of a server see: time to first token, between tokens, tokens a second, beside no HTTP",
     &add_load<&bench_serve, &add_serve_options>},
    {"interval", "what --stream-interval costs and saves, and that it drops nothing",
     &add_load<&bench_interval, &add_interval_options>},
    {"simple", "simple mode beside a batch of one: no overhead either way",
     &add_load<&bench_simple, &add_simple_options>},
    {"lookup", "prompt lookup beside none: answers that repeat their request, and others", &add_plain<&bench_lookup>},
    {"sharing", "KV memory saved by users whose prompts begin alike", &add_plain<&bench_sharing>},
    {"prefix", "time to first token of a long prompt: cold, again, in a burst", &add_plain<&bench_prefix>},
};

struct BenchOptions {
  MeasuredModelOptions model;
  bool json = false;
};

void print_table(const Figures& figures) {
  fmt::print("{:<56}{:>10}{:>10}{:>9}{:>9}\n", "", "value", "limit", "share", "goal");
  for (const Figure& figure : figures) {
    const std::string limit = figure.limit ? fmt::format("{:.2f}", *figure.limit) : "";
    const std::string share = figure.share() ? fmt::format("{:.0f} %", *figure.share() * 100) : "";
    const std::string goal =
        figure.goal ? fmt::format("{} {:g}", figure.more_is_better ? ">=" : "<=", *figure.goal) : "";
    fmt::print("{:<56}{:>10.2f}{:>10}{:>9}{:>9}  {}{}\n", figure.name, figure.value, limit, share, goal, figure.unit,
               figure.misses_goal() ? "  MISSED" : "");
  }
}

// null where there is none.
nlohmann::ordered_json json_of(const std::optional<double>& number) {
  return number ? nlohmann::ordered_json(*number) : nlohmann::ordered_json(nullptr);
}

void print_json(const Figures& figures) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Figure& figure : figures) {
    list.push_back({{"name", figure.name},
                    {"value", figure.value},
                    {"unit", figure.unit},
                    {"limit", json_of(figure.limit)},
                    {"share", json_of(figure.share())}});
  }
  fmt::print("{}\n", list.dump(1));
}

}  // namespace

void add_bench_command(CLI::App& program, int& exit_status) {
  CLI::App* bench = program.add_subcommand("bench", "measure this machine with a model");
  bench->require_subcommand(1);
  for (const Benchmark& row : kBenchmarks) {
    const auto options = std::make_shared<BenchOptions>();
    CLI::App* command = bench->add_subcommand(row.name, row.help);
    options->model.add_to(*command);
    command->add_flag("--json", options->json, "a list of objects: name, value, unit, limit, share");
    const Run run = row.add_to(*command, options->model);
    command->callback([options, run, &exit_status] {
      options->model.check();
      const Result<Figures> figures = run();
      if (!figures.ok()) {
        exit_status = fail(figures.error());
        return;
      }
      options->json ? print_json(*figures) : print_table(*figures);
      exit_status = std::ranges::any_of(*figures, &Figure::misses_goal) ? 1 : 0;
    });
  }
}

}  // namespace slipstream
