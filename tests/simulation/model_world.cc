#include "model_world.h"

#include <utility>

#include "base/check.h"

namespace slipstream {
namespace {

constexpr uint32_t kLongest = 100;  // tokens of a sequence
constexpr uint32_t kMostRows = 256;

// Another executor, on a clock of its world's: a seed gives the same steps again.
class ClockedExecutor final : public Executor {
 public:
  ClockedExecutor(Executor& inner, const World& world, std::atomic<uint64_t>& clock_ns)
      : inner_(inner), world_(world), clock_ns_(clock_ns) {}

  Logits run(const StepInput& input) override {
    clock_ns_ += world_.ns_per_step + world_.ns_per_row * input.tokens.size();
    return inner_.run(input);
  }
  uint32_t vocab_size() const override { return inner_.vocab_size(); }
  uint32_t max_rows() const override { return inner_.max_rows(); }
  uint32_t max_slices() const override { return inner_.max_slices(); }
  uint32_t max_logit_rows() const override { return inner_.max_logit_rows(); }
  size_t block_bytes() const override { return inner_.block_bytes(); }
  void save_block(BlockId block, std::span<std::byte> into) const override { inner_.save_block(block, into); }
  void load_block(BlockId block, std::span<const std::byte> from) override { inner_.load_block(block, from); }

 private:
  Executor& inner_;
  const World& world_;
  std::atomic<uint64_t>& clock_ns_;
};

}  // namespace

Result<std::unique_ptr<ModelWorlds>> ModelWorlds::make(const std::string& checkpoint, uint32_t num_threads) {
  ASSIGN_OR_RETURN(Checkpoint opened, open_checkpoint(checkpoint));
  std::unique_ptr<ModelWorlds> worlds(new ModelWorlds(std::move(opened), num_threads));
  ASSIGN_OR_RETURN(worlds->weights_, load_checkpoint(worlds->checkpoint_, worlds->pool_, {}));
  worlds->alone_ = worlds->make_executor(8, 16, 1);
  return worlds;
}

ModelWorlds::ModelWorlds(Checkpoint checkpoint, uint32_t num_threads)
    : checkpoint_(std::move(checkpoint)), pool_(num_threads), table_(echo_tokens(checkpoint_.config.vocab_size)) {
  shape_.vocab_size = checkpoint_.config.vocab_size;
  shape_.eos_tokens = {shape_.vocab_size - 1, 3, 4, 5};
  shape_.block_sizes = {1, 2, 4, 8, 16, 32, 64};
  shape_.most_tokens_long = kLongest;
  shape_.most_requests = 12;
}

std::unique_ptr<CpuExecutor> ModelWorlds::make_executor(uint32_t num_blocks, uint32_t block_tokens,
                                                        uint32_t max_slices) {
  CpuExecutorOptions options;
  options.num_blocks = num_blocks;
  options.block_tokens = block_tokens;
  options.max_rows = kMostRows;
  options.max_slices = max_slices;
  options.max_logit_rows = max_slices + 5;
  options.max_context = kLongest;
  auto executor = CpuExecutor::make(checkpoint_.config, weights_, pool_, options);
  CHECK(executor.ok(), "{}", executor.error().message);
  return std::move(executor).value();
}

Answer ModelWorlds::answer_alone(const World& world, const Request& request) {
  EngineOptions options;
  options.num_blocks = 8;
  options.block_tokens = 16;
  options.max_model_len = world.options.max_model_len;
  options.max_step_ms = 0;
  options.num_clients = world.options.num_clients;
  options.prefix_cache = false;
  options.eos_tokens = world.options.eos_tokens;
  Engine engine(options, *alone_, pool_, &table_, Clock::real());
  TextStream stream = engine.submit(request, nullptr).value();
  while (engine.step()) {}
  Answer answer;
  answer.add(stream.try_next().value());
  return answer;
}

WorldResult ModelWorlds::run(uint64_t seed) {
  World world = make_world(seed, shape_);
  world.fail_one_in = 0;
  std::vector<Answer> alone;
  for (const WorldRequest& asked : world.requests) alone.push_back(answer_alone(world, asked.request));
  const auto executor = make_executor(world.options.num_blocks, world.options.block_tokens, world.options.max_num_seqs);
  std::atomic<uint64_t> clock_ns{0};
  ClockedExecutor clocked(*executor, world, clock_ns);
  return run_world(world, clocked, nullptr, table_, alone, clock_ns);
}

}  // namespace slipstream
