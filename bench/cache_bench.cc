// How long it takes to look up a prompt of 16,000 tokens in a full pool of 100,000 blocks, beside the 1 ms it may take,
// and in a pool of a tenth of that, since nothing on the way may grow with the number of entries:
//
//   cache_bench
//
// found:  all of it is remembered, and its last block is to be copied; ten or a hundred such prompts in turn, so that
//         what is looked at comes from memory.
// unlike: its first block is unlike all others, of which there are as many as there are entries.

#include <fmt/core.h>

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "cache/kv_ledger.h"

namespace slipstream {
namespace {

constexpr uint32_t kPromptTokens = 16'000;
constexpr uint32_t kBlockTokens = 64;
constexpr double kLimitMs = 1.0;
constexpr int kTrials = 201;

std::vector<TokenId> prompt(uint32_t text, uint32_t num_tokens) {
  std::vector<TokenId> tokens;
  for (uint32_t i = 0; i < num_tokens; ++i) tokens.push_back((text * 2'654'435'761u) ^ (i * 40'503u));
  return tokens;
}

void compute(KvLedger& ledger, const std::vector<TokenId>& tokens, BlockTable& table) {
  const bool grown = ledger.grow(table, static_cast<uint32_t>(tokens.size()));
  if (!grown) return;
  ledger.remember(tokens, {}, table);
  ledger.release_with_tail(tokens, {}, table);
  ledger.clear_changes();
}

// The pool full: prompts of one block and of 250, so that there are many entries and deep ones.
struct FullPool {
  explicit FullPool(uint32_t num_blocks)
      : ledger({.num_blocks = num_blocks, .block_tokens = kBlockTokens, .prefix_cache = true, .hash_seed = 9}) {
    for (uint32_t text = 1; text <= num_blocks / 2; ++text) compute(ledger, prompt(text, kBlockTokens), table);
    last_text = num_blocks;
    while (ledger.num_remembered() < num_blocks) compute(ledger, prompt(last_text++, kPromptTokens), table);
    compute(ledger, prompt(last_text, kPromptTokens), table);
  }
  KvLedger ledger;
  BlockTable table;
  uint32_t last_text = 0;
};

// The median and the worst, in ms, of prompts first_text - 0, 1, ... num_texts - 1.
std::pair<double, double> time_match(FullPool& pool, uint32_t first_text, uint32_t num_texts) {
  const Clock clock = Clock::real();
  std::vector<double> times;
  uint32_t num_found = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    const std::vector<TokenId> tokens = prompt(first_text - static_cast<uint32_t>(trial) % num_texts, kPromptTokens);
    const uint64_t begin_ns = clock.now_ns();
    const Match match = pool.ledger.match(tokens, {}, pool.table);
    times.push_back(static_cast<double>(clock.now_ns() - begin_ns) * 1e-6);
    num_found = match.num_tokens + match.num_common;
    pool.ledger.release(pool.table);
  }
  CHECK(num_found == (num_texts > 1 ? kPromptTokens - 1 : 0), "{} tokens found", num_found);
  std::ranges::sort(times);
  return {times[kTrials / 2], times.back()};
}

bool print_pool(uint32_t num_blocks) {
  FullPool pool(num_blocks);
  const auto found = time_match(pool, pool.last_text, num_blocks / 1000);
  const auto unlike = time_match(pool, ~0u, 1);
  fmt::print("{:>7} blocks, {:>6} remembered, {:>6} entries: found {:.3f} ms (worst {:.3f}), unlike {:.3f} ms; "
             "limit {:.0f} ms\n",
             num_blocks, pool.ledger.num_remembered(), pool.ledger.num_entries(), found.first, found.second,
             unlike.first, kLimitMs);
  return found.first < kLimitMs && unlike.first < kLimitMs;
}

}  // namespace
}  // namespace slipstream

int main() {
  const bool small = slipstream::print_pool(10'000);
  const bool large = slipstream::print_pool(100'000);
  return small && large ? 0 : 1;
}
