// --cache-dir: the folder is opened and checked before the weights are read, the cache in it once the model is there.
#pragma once

#include <memory>
#include <optional>

#include "app/model_files.h"
#include "app/serve_settings.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "disk/disk_cache.h"
#include "model/cpu_executor.h"

namespace slipstream {

struct OpenedCacheFolder {
  CacheFolder folder;
  Secret secret;  // the folder's own: keys of the cache made with it are the same at the next start
};

// Null where none is wanted. fresh_secret: random, of a folder that has none yet. Errors: as CacheFolder::open().
Result<std::optional<OpenedCacheFolder>> open_cache_folder(const ServeSettings& settings, const Secret& fresh_secret);

// Null without a folder. Says in one line what is in it. Errors: as DiskCache::open().
Result<std::unique_ptr<DiskCache>> open_disk_cache(const ServeSettings& settings,
                                                   std::optional<OpenedCacheFolder> opened, const OpenedModel& model,
                                                   const CpuExecutor& executor, ThreadPool& pool);

}  // namespace slipstream
