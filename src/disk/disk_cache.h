// The BlockStore on a disk: a file a block in one folder, an index of them in memory, and one thread that reads and
// writes. Reads go first. The index is made at start from the files' names and sizes; what a file really holds is
// checked when it is read (block_file.h), and one that is wrong is removed and counts as not there. When a file cannot
// be written (a full disk) its block is dropped, a warning says so once, and the next ones are dropped untried.
//
//   engine thread        slots in memory            disk thread            folder
//   begin/end_write ───► [block][block] ───────────► room, write, rename ─► files, oldest use removed first
//   ask, next_found ◄─── [block][block] ◄─────────── read, check ◄─────────
//
// The folder holds at most max_bytes, files of other models included: those age like ours. When a file was last of use
// is kept as its time in the folder. What was of use later than a block never makes room for it: the block is dropped.
#pragma once

#include <memory>

#include "base/result.h"
#include "disk/block_file.h"
#include "disk/block_store.h"
#include "disk/cache_folder.h"

namespace slipstream {

struct DiskCacheOptions {
  uint64_t max_bytes = 0;        // of all files; at least one block's
  CacheNamespace space;
  size_t max_block_bytes = 0;    // of one block's K and V
  Secret secret{};               // the folder's own
  // For blocks on their way to the disk, and as much for those on their way back.
  uint64_t buffer_bytes = 32u << 20;
};

class DiskCache final : public BlockStore {
 public:
  // Errors: the folder cannot be read, or the memory cannot be had, or max_bytes holds no block.
  static Result<std::unique_ptr<DiskCache>> open(CacheFolder folder, const DiskCacheOptions& options);
  ~DiskCache() override;  // writes what end_write() was called for

  const Secret& secret() const override;
  bool contains(const ChainKey& key) const override;
  std::span<std::byte> begin_write(const BlockName& name, size_t num_bytes, Use use) override;
  void end_write() override;
  void refresh(const ChainKey& key, Use use) override;
  bool ask(const BlockName& name, Use use) override;
  std::optional<Found> next_found() override;
  void wait() override;
  bool wait_to_write() override;
  void clear() override;
  DiskCounts counts() const override;

  // Returns when everything given to it so far is done. For tests.
  void settle();

 private:
  struct State;
  explicit DiskCache(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace slipstream
