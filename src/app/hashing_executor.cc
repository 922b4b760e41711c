#include "app/hashing_executor.h"

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "base/random.h"

namespace slipstream {
namespace {

constexpr uint64_t kNoTokens = 0;

uint64_t chain_of(uint64_t before, TokenId token) { return splitmix64(before, token); }

uint64_t hash_of(std::span<const float> logits) {
  uint64_t hash = 0;
  for (const float logit : logits) hash = splitmix64(hash, std::bit_cast<uint32_t>(logit));
  return hash;
}

}  // namespace

HashingExecutor::HashingExecutor(Executor& inner, uint32_t num_blocks, uint32_t block_tokens)
    : inner_(inner), block_tokens_(block_tokens), slots_(size_t{num_blocks} * block_tokens) {
  CHECK(inner.max_logit_rows() >= inner.max_rows(), "{} rows of logits for {} rows", inner.max_logit_rows(),
        inner.max_rows());
}

void HashingExecutor::watch(std::span<const TokenId> tokens) {
  uint64_t chain = kNoTokens;
  for (const TokenId token : tokens) {
    chain = chain_of(chain, token);
    watched_.insert(chain);
  }
}

std::vector<std::optional<uint64_t>> HashingExecutor::hashes_of(std::span<const TokenId> tokens) const {
  std::vector<std::optional<uint64_t>> hashes;
  uint64_t chain = kNoTokens;
  for (const TokenId token : tokens) {
    chain = chain_of(chain, token);
    const auto found = hashes_.find(chain);
    hashes.push_back(found == hashes_.end() ? std::nullopt : std::optional(found->second));
  }
  return hashes;
}

Logits HashingExecutor::run(const StepInput& input) {
  copy_chains(input);
  chains_.resize(input.tokens.size());
  slices_.assign(input.slices.begin(), input.slices.end());
  for (StepSlice& slice : slices_) {
    write_chains(input, slice);
    const auto chains = std::span(chains_).subspan(slice.first_row, slice.num_rows);
    const auto first = std::ranges::find_if(chains, [this](uint64_t chain) { return watched_.contains(chain); });
    slice.num_logits = std::max(slice.num_logits, static_cast<uint32_t>(chains.end() - first));
  }
  StepInput widened = input;
  widened.slices = slices_;
  Logits logits = inner_.run(widened);

  // Ours are hashed; then the rows that were asked for move together, to where they are expected.
  uint32_t from = 0;
  uint32_t to = 0;
  for (size_t index = 0; index < slices_.size(); ++index) {
    const StepSlice& slice = slices_[index];
    const uint32_t first_wanted = slice.num_logits - input.slices[index].num_logits;
    const uint32_t first_chain = slice.first_row + slice.num_rows - slice.num_logits;
    for (uint32_t row = 0; row < slice.num_logits; ++row, ++from) {
      keep(chains_[first_chain + row], logits.rows.span(from));
      if (row < first_wanted) continue;
      if (to != from) std::ranges::copy(logits.rows.span(from), logits.rows.row(to));
      ++to;
    }
  }
  logits.rows.rows = to;
  return logits;
}

void HashingExecutor::save_block(BlockId block, std::span<std::byte> into) const {
  inner_.save_block(block, into.first(inner_.block_bytes()));
  std::ranges::copy(std::as_bytes(std::span(slots_).subspan(size_t{block} * block_tokens_, block_tokens_)),
                    into.subspan(inner_.block_bytes()).begin());
}

void HashingExecutor::load_block(BlockId block, std::span<const std::byte> from) {
  inner_.load_block(block, from.first(inner_.block_bytes()));
  std::ranges::copy(
      from.subspan(inner_.block_bytes()),
      std::as_writable_bytes(std::span(slots_).subspan(size_t{block} * block_tokens_, block_tokens_)).begin());
}

void HashingExecutor::copy_chains(const StepInput& input) {
  for (const BlockCopy& copy : input.copies) {
    std::copy_n(&slots_[size_t{copy.from} * block_tokens_], copy.num_tokens, &slots_[size_t{copy.to} * block_tokens_]);
  }
}

void HashingExecutor::write_chains(const StepInput& input, const StepSlice& slice) {
  const auto slot = [&](uint32_t position) -> uint64_t& {
    const BlockId block = input.block_tables[slice.first_block + position / block_tokens_];
    return slots_[size_t{block} * block_tokens_ + position % block_tokens_];
  };
  uint64_t chain = slice.first_position == 0 ? kNoTokens : slot(slice.first_position - 1);
  for (uint32_t row = 0; row < slice.num_rows; ++row) {
    chain = chain_of(chain, input.tokens[slice.first_row + row]);
    slot(slice.first_position + row) = chain;
    chains_[slice.first_row + row] = chain;
  }
}

void HashingExecutor::keep(uint64_t chain, std::span<const float> logits) {
  const uint64_t hash = hash_of(logits);
  const auto [place, is_new] = hashes_.emplace(chain, hash);
  if (!is_new && place->second != hash) ++num_conflicts_;
}

}  // namespace slipstream
