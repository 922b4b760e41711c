#include "model/cpu_executor.h"

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "model/decoder.h"
#include "model/kv_storage.h"
#include "model/workspace.h"

namespace slipstream {
namespace {

// Rows that go through the layers together. From 256 rows on a matrix product is limited by arithmetic, whatever the
// weights (ARITHMETIC.md 2, AVX2.md 3), so a longer step gains nothing from more; 512 bound the workspace.
constexpr uint32_t kMaxPassRows = 512;

KvShape kv_shape(const ModelConfig& config, uint32_t num_blocks, uint32_t block_tokens, ActivationMode activations) {
  return {config.num_layers, config.num_kv_heads, config.head_dim,
          num_blocks,        block_tokens,        activations == ActivationMode::kF32};
}

WorkspaceLimits workspace_limits(const CpuExecutorOptions& options, uint32_t num_threads) {
  return {std::min(options.max_rows, kMaxPassRows),
          options.max_logit_rows == 0 ? options.max_slices : options.max_logit_rows, options.max_context, num_threads};
}

}  // namespace

struct CpuExecutor::State {
  State(const ModelConfig& model, const Weights& weights, ThreadPool& pool_, const CpuExecutorOptions& opts,
        KvStorage storage, Workspace workspace)
      : config(model),
        options(opts),
        pool(pool_),
        kv(std::move(storage)),
        work(std::move(workspace)),
        decoder(model, weights, kernels_for(opts.isa), kv, work, pool_, opts.activations == ActivationMode::kInt16) {
    const uint32_t max_pass_rows = work.residual.rows;
    pass_slices.reserve(max_pass_rows);
    slice_of_pass.reserve(max_pass_rows);
    wanted.reserve(max_pass_rows);
    slice_finite.reserve(opts.max_slices);
    logit_finite.reserve(work.logits.rows);
    logit_slice.reserve(work.logits.rows);
  }

  void check_input(const StepInput& input) const;
  void copy_blocks(std::span<const BlockCopy> copies);
  Logits run(const StepInput& input);
  uint32_t fill_pass(const StepInput& input, uint32_t first_row);
  void want(uint32_t row, uint32_t slice) {
    wanted.push_back(row);
    logit_slice.push_back(slice);
  }
  void run_pass(const StepInput& input, Range step_rows);

  // Constant after construction.
  const ModelConfig& config;
  const CpuExecutorOptions options;
  ThreadPool& pool;

  // Owned by the engine thread.
  KvStorage kv;
  Workspace work;
  Decoder decoder;
  std::vector<PassSlice> pass_slices;
  std::vector<uint32_t> slice_of_pass;  // [pass_slices]: which of the step's slices
  std::vector<uint32_t> wanted;         // the pass's rows whose logits are wanted; their slices end logit_slice
  std::vector<uint8_t> slice_finite;    // [slices]
  std::vector<uint8_t> logit_finite;    // [rows of logits]
  std::vector<uint32_t> logit_slice;    // [rows of logits]
};

// A wrong step would read or write someone else's memory: the engine's fault, so never passed over.
void CpuExecutor::State::check_input(const StepInput& input) const {
  CHECK(input.tokens.size() <= options.max_rows, "{} rows of {}", input.tokens.size(), options.max_rows);
  CHECK(input.slices.size() <= options.max_slices, "{} slices of {}", input.slices.size(), options.max_slices);
  for (const TokenId token : input.tokens) CHECK(token < config.vocab_size, "token {} of {}", token, config.vocab_size);
  uint32_t next_row = 0;
  uint64_t num_logits = 0;
  for (const StepSlice& slice : input.slices) {
    CHECK(slice.num_rows > 0 && slice.first_row == next_row, "{} rows from {}, expected from {}", slice.num_rows,
          slice.first_row, next_row);
    next_row += slice.num_rows;
    CHECK(slice.num_logits <= slice.num_rows, "logits of {} rows of {}", slice.num_logits, slice.num_rows);
    num_logits += slice.num_logits;
    const uint64_t num_tokens = uint64_t{slice.first_position} + slice.num_rows;
    CHECK(num_tokens <= options.max_context, "{} tokens of {}", num_tokens, options.max_context);
    CHECK(uint64_t{slice.num_blocks} * options.block_tokens >= num_tokens, "{} blocks for {} tokens", slice.num_blocks,
          num_tokens);
    CHECK(uint64_t{slice.first_block} + slice.num_blocks <= input.block_tables.size(), "block table [{}, +{}) of {}",
          slice.first_block, slice.num_blocks, input.block_tables.size());
    for (const BlockId block : input.block_tables.subspan(slice.first_block, slice.num_blocks)) {
      CHECK(block < options.num_blocks, "block {} of {}", block, options.num_blocks);
    }
  }
  CHECK(next_row == input.tokens.size(), "slices have {} rows of {}", next_row, input.tokens.size());
  CHECK(num_logits <= work.logits.rows, "{} rows of logits, room for {}", num_logits, work.logits.rows);
}

void CpuExecutor::State::copy_blocks(std::span<const BlockCopy> copies) {
  if (copies.empty()) return;
  pool.run([&](uint32_t thread) {
    const Range layers = split(config.num_layers, thread, pool.num_threads());
    for (uint32_t layer = layers.begin; layer < layers.end; ++layer) {
      for (const BlockCopy& copy : copies) kv.copy(layer, copy);  // in order: one may copy what another has made
    }
  });
}

// Makes the pass that begins at the step's row `first_row`; returns the row after its last. A slice that does not fit
// is cut: its later rows find the earlier ones' K and V in the cache, as in a chunked prompt.
uint32_t CpuExecutor::State::fill_pass(const StepInput& input, uint32_t first_row) {
  const uint32_t last_row = std::min(first_row + work.residual.rows, static_cast<uint32_t>(input.tokens.size()));
  pass_slices.clear();
  slice_of_pass.clear();
  wanted.clear();
  for (uint32_t index = 0; index < input.slices.size(); ++index) {
    const StepSlice& slice = input.slices[index];
    const uint32_t begin = std::max(slice.first_row, first_row);
    const uint32_t end = std::min(slice.first_row + slice.num_rows, last_row);
    if (begin >= end) continue;
    const AttentionSlice attention{input.block_tables.data() + slice.first_block,
                                   slice.first_position + begin - slice.first_row, end - begin};
    pass_slices.push_back({attention, begin - first_row});
    slice_of_pass.push_back(index);
    const uint32_t first_wanted = slice.first_row + slice.num_rows - slice.num_logits;
    for (uint32_t row = std::max(begin, first_wanted); row < end; ++row) want(row - first_row, index);
  }
  return last_row;
}

void CpuExecutor::State::run_pass(const StepInput& input, Range step_rows) {
  decoder.forward({input.tokens.subspan(step_rows.begin, step_rows.size()), pass_slices});
  decoder.keep(wanted, static_cast<uint32_t>(logit_slice.size() - wanted.size()));
  for (size_t index = 0; index < pass_slices.size(); ++index) {
    const auto flags = decoder.finite().subspan(pass_slices[index].first_row, pass_slices[index].attention.num_rows);
    if (std::find(flags.begin(), flags.end(), 0) != flags.end()) slice_finite[slice_of_pass[index]] = 0;
  }
}

Logits CpuExecutor::State::run(const StepInput& input) {
  check_input(input);
  copy_blocks(input.copies);
  slice_finite.assign(input.slices.size(), 1);
  logit_slice.clear();
  for (uint32_t row = 0; row < input.tokens.size();) {
    const uint32_t end = fill_pass(input, row);
    run_pass(input, {row, end});
    row = end;
  }
  const auto num_logits = static_cast<uint32_t>(logit_slice.size());
  logit_finite.assign(num_logits, 1);
  decoder.project_logits(num_logits, logit_finite.data());
  for (uint32_t row = 0; row < num_logits; ++row) {
    if (logit_finite[row] == 0) slice_finite[logit_slice[row]] = 0;
  }
  return {{work.logits.data, num_logits, config.vocab_size, work.logits.stride}, slice_finite};
}

uint64_t kv_block_bytes(const ModelConfig& config, uint32_t block_tokens, ActivationMode activations) {
  return kv_shape(config, 1, block_tokens, activations).block_bytes();
}

uint64_t executor_workspace_bytes(const ModelConfig& config, const CpuExecutorOptions& options, uint32_t num_threads) {
  return Workspace::bytes(config, kernels_for(options.isa), workspace_limits(options, num_threads));
}

Result<std::unique_ptr<CpuExecutor>> CpuExecutor::make(const ModelConfig& config, const Weights& weights,
                                                       ThreadPool& pool, const CpuExecutorOptions& options) {
  CHECK(options.max_rows > 0 && options.max_slices > 0 && options.num_blocks > 0 && options.max_context > 0);
  CHECK(isa_supported(options.isa), "{}", isa_name(options.isa));
  auto kv = KvStorage::make(kv_shape(config, options.num_blocks, options.block_tokens, options.activations));
  if (!kv.ok()) return std::move(kv.error()).within("KV cache");
  if (options.touch_kv) kv->touch(pool);
  auto work = Workspace::make(config, kernels_for(options.isa), workspace_limits(options, pool.num_threads()), pool);
  if (!work.ok()) return std::move(work.error()).within("workspace");
  return std::unique_ptr<CpuExecutor>(new CpuExecutor(
      std::make_unique<State>(config, weights, pool, options, std::move(kv.value()), std::move(work.value()))));
}

CpuExecutor::CpuExecutor(std::unique_ptr<State> state) : state_(std::move(state)) {}
CpuExecutor::~CpuExecutor() = default;

Logits CpuExecutor::run(const StepInput& input) { return state_->run(input); }

uint32_t CpuExecutor::vocab_size() const { return state_->config.vocab_size; }
uint32_t CpuExecutor::max_rows() const { return state_->options.max_rows; }
uint32_t CpuExecutor::max_slices() const { return state_->options.max_slices; }
uint32_t CpuExecutor::max_logit_rows() const { return state_->work.logits.rows; }
size_t CpuExecutor::block_bytes() const { return state_->kv.shape().block_bytes(); }
void CpuExecutor::save_block(BlockId block, std::span<std::byte> into) const { state_->kv.save(block, into); }
void CpuExecutor::load_block(BlockId block, std::span<const std::byte> from) { state_->kv.load(block, from); }
uint64_t CpuExecutor::workspace_bytes() const { return state_->work.memory.size(); }
uint64_t CpuExecutor::num_clamped_kv() const { return state_->decoder.num_clamped_kv(); }

}  // namespace slipstream
