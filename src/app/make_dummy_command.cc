// slipstream make-dummy SHAPE DIR: a checkpoint of one of the known shapes with random weights, for whoever wants to
// measure or try without the real files.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "app/commands.h"
#include "app/compute_options.h"
#include "app/dummy_folder.h"
#include "app/progress_bar.h"
#include "base/processors.h"

namespace slipstream {
namespace {

struct MakeDummyOptions {
  std::string shape;
  uint64_t seed = 0;
  uint32_t num_threads = 0;
  std::string folder;
  std::string tokenizer_folder;
};

Status run_make_dummy(const MakeDummyOptions& options) {
  ASSIGN_OR_RETURN(DummyName dummy, read_dummy_name(fmt::format("{}:{}", options.shape, options.seed)));
  ThreadPool pool(options.num_threads != 0 ? options.num_threads : num_usable_cores());
  return write_dummy_folder({std::move(dummy), options.folder, options.tokenizer_folder}, pool,
                            terminal_progress("writing"));
}

}  // namespace

void add_make_dummy_command(CLI::App& program, int& exit_status) {
  const auto options = std::make_shared<MakeDummyOptions>();
  CLI::App* command =
      program.add_subcommand("make-dummy", "write a model with random weights, as large and slow as a real one");
  std::vector<std::string> names;
  for (const DummyShape& shape : dummy_shapes()) names.emplace_back(shape.name);
  command->add_option("SHAPE", options->shape, dummy_shape_names())->required()->check(CLI::IsMember(names));
  command->add_option("DIR", options->folder, "the folder to write; new or empty")->required();
  command->add_option("--tokenizer", options->tokenizer_folder,
                      "a folder whose tokenizer.json, and what belongs to it, is copied (a tokenizer of bytes)");
  command->add_option("--seed", options->seed, "of the weights; the same seed, the same bytes everywhere (0)");
  command->add_option("--threads", options->num_threads, "threads (default: the cores this process may use)")
      ->check(CLI::Range(1u, 1024u));
  command->callback([options, &exit_status] {
    const Status status = run_make_dummy(*options);
    exit_status = status.ok() ? 0 : fail(status.error());
  });
}

}  // namespace slipstream
