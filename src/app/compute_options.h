// The options that every command which computes has, and what they make: threads, an instruction set, an arithmetic.
#pragma once

#include <cstdint>
#include <string>

#include "app/model_path.h"
#include "base/result.h"
#include "model/cpu_executor.h"

namespace CLI {
class App;
}

namespace slipstream {

// MODEL and --dummy, for every command that takes a model.
void add_model_options(CLI::App& command, std::string& model, std::string& dummy);
// In a command's callback. Throws CLI::ParseError where not one of the two is given.
void require_one_model(const std::string& model, const std::string& dummy);

struct ComputeOptions {
  std::string model;
  std::string dummy;                  // instead of MODEL: SHAPE or SHAPE:SEED
  uint32_t num_threads = 0;           // 0: as many as this process may use cores
  std::string isa;                    // "": the best of this machine
  std::string activations = "int16";  // or "f32", the yardstick
  uint32_t block_tokens = 64;

  // Adds MODEL, --dummy, --threads, --isa, --activations and --block-size to a command; `this` outlives its parsing.
  void add_to(CLI::App& command);
  uint32_t threads() const;
  ThreadPool make_pool() const;  // of so many
  // find_model_or_dummy() of the two.
  Result<ModelPath> find() const;
  // Sizes are left to the command. Error: an instruction set that this machine does not have.
  Result<CpuExecutorOptions> executor_options() const;
};

// Prints "slipstream: <message>" on standard error; the exit status for such an error.
int fail(const Error& error);

}  // namespace slipstream
