#include "app/disk_store.h"

#include <utility>

#include "app/memory_plan.h"
#include "base/log.h"
#include "kernels/fixed_arithmetic.h"
#include "model/model_digest.h"

namespace slipstream {

Result<std::optional<OpenedCacheFolder>> open_cache_folder(const ServeSettings& settings, const Secret& fresh_secret) {
  if (settings.cache_dir.empty()) return std::optional<OpenedCacheFolder>();
  auto folder = CacheFolder::open(settings.cache_dir);
  if (!folder.ok()) return std::move(folder.error()).within("--cache-dir");
  auto secret = folder->secret(fresh_secret);
  if (!secret.ok()) return std::move(secret.error()).within("--cache-dir");
  return std::optional(OpenedCacheFolder{std::move(folder.value()), *secret});
}

Result<std::unique_ptr<DiskCache>> open_disk_cache(const ServeSettings& settings,
                                                   std::optional<OpenedCacheFolder> opened, const OpenedModel& model,
                                                   const CpuExecutor& executor, ThreadPool& pool) {
  if (!opened) return std::unique_ptr<DiskCache>();
  const ActivationMode activations = executor_options(settings).activations;
  DiskCacheOptions options;
  options.max_bytes = settings.cache_disk_mb << 20;
  options.space = {.model = model_digest(model.config, model.weights, activations, pool),
                   .arithmetic = kArithmeticVersion,
                   .block_tokens = settings.block_tokens};
  options.max_block_bytes = executor.block_bytes();
  options.secret = opened->secret;
  auto cache = DiskCache::open(std::move(opened->folder), options);
  if (!cache.ok()) return std::move(cache.error()).within("--cache-dir, --cache-disk-mb");
  const DiskCounts counts = (*cache)->counts();
  LOG_INFO("{}: {} blocks of this model are there; {} MB of {} MB are taken", settings.cache_dir, counts.blocks,
           counts.bytes / 1'000'000, options.max_bytes / 1'000'000);
  return cache;
}

}  // namespace slipstream
