#include "server/cache_page.h"

#include <gtest/gtest.h>

namespace slipstream {
namespace {

TEST(CachePage, each_number_stands_under_its_name) {
  EngineStats stats;
  stats.block_tokens = 64;
  stats.blocks_total = 100;
  stats.blocks_in_use = 7;
  stats.blocks_remembered = 9;
  stats.cache = {.hits = 1,
                 .prefix_hits = 2,
                 .misses = 3,
                 .evictions = 4,
                 .tokens_reused = 500,
                 .tokens_computed = uint64_t{1} << 40,
                 .entries = 6};
  stats.disk = {.blocks = 11, .bytes = 12, .hits = 13, .writes = 14, .errors = 15};
  EXPECT_EQ(write_cache_stats(stats, 737280),
            R"({"object":"cache.stats","block_tokens":64,"bytes_per_block":737280,"blocks_total":100,)"
            R"("blocks_in_use":7,"blocks_remembered":9,"hits":1,"prefix_hits":2,"misses":3,"evictions":4,)"
            R"("tokens_reused":500,"tokens_computed":1099511627776,"entries":6,)"
            R"("disk":{"blocks":11,"bytes":12,"hits":13,"writes":14,"errors":15}})");
}

}  // namespace
}  // namespace slipstream
