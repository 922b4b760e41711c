#include "cache/cache_traces.h"

#include <gtest/gtest.h>

namespace slipstream {
namespace {

double hit_rate(TraceKind kind, bool plain_lru) {
  const KvLedgerOptions options{
      .num_blocks = 2000, .block_tokens = 64, .prefix_cache = true, .hash_seed = 1, .plain_lru = plain_lru};
  return hit_rate_of_trace(kind, options, 1500, 1);
}

TEST(CacheTraces, the_pool_finds_no_less_than_plain_lru_on_any_of_them) {
  for (const NamedTrace& trace : kTraces) {
    EXPECT_GE(hit_rate(trace.kind, false), hit_rate(trace.kind, true) - 0.01) << trace.name;
  }
}

TEST(CacheTraces, documents_that_are_read_once_push_out_no_chat) {
  EXPECT_GT(hit_rate(TraceKind::kScans, false), 1.3 * hit_rate(TraceKind::kScans, true));
  EXPECT_GT(hit_rate(TraceKind::kMix, false), 1.02 * hit_rate(TraceKind::kMix, true));
}

}  // namespace
}  // namespace slipstream
