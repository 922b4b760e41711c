// slipstream bench WHAT [MODEL]: a row of the table below is a benchmark; each has its file, bench_NAME.cc. Exit
// status 1: a figure misses its goal.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/benchmarks.h"
#include "app/commands.h"

namespace slipstream {
namespace {

struct Benchmark {
  const char* name;
  const char* help;
  Result<Figures> (*run)(const MeasuredModelOptions& options);
};

constexpr Benchmark kBenchmarks[] = {
    {"sharing", "KV memory saved by users whose prompts begin alike", &bench_sharing},
    {"prefix", "time to first token of a long prompt: cold, again, in a burst", &bench_prefix},
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
    command->callback([options, &row, &exit_status] {
      options->model.check();
      const Result<Figures> figures = row.run(options->model);
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
