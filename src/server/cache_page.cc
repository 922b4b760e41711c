#include "server/cache_page.h"

#include <fmt/core.h>

namespace slipstream {

std::string write_cache_stats(const EngineStats& stats, uint64_t block_bytes) {
  const CacheCounts& cache = stats.cache;
  const DiskCounts& disk = stats.disk;
  return fmt::format(
      R"({{"object":"cache.stats","block_tokens":{},"bytes_per_block":{},"blocks_total":{},"blocks_in_use":{},)"
      R"("blocks_remembered":{},"hits":{},"prefix_hits":{},"misses":{},"evictions":{},"tokens_reused":{},)"
      R"("tokens_computed":{},"entries":{},)"
      R"("disk":{{"blocks":{},"bytes":{},"hits":{},"writes":{},"errors":{}}}}})",
      stats.block_tokens, block_bytes, stats.blocks_total, stats.blocks_in_use, stats.blocks_remembered, cache.hits,
      cache.prefix_hits, cache.misses, cache.evictions, cache.tokens_reused, cache.tokens_computed, cache.entries,
      disk.blocks, disk.bytes, disk.hits, disk.writes, disk.errors);
}

}  // namespace slipstream
