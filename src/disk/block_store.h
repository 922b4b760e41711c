// Where blocks are kept that memory has no room for, or that shall outlive the process, as the engine sees it: names
// and bytes that go out and may come back later, or never. A store may lose anything and refuse anything, but what it
// gives back is exactly what was put in under that name.
//
// Implemented by DiskCache (disk_cache.h), and by a store in memory that forgets and tarries in tests/simulation.
// Engine thread. No call but wait() waits for the disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "disk/chain_key.h"

namespace slipstream {

// For /metrics and /v1/cache/stats.
struct DiskCounts {
  uint64_t blocks = 0;   // there now, of this model
  uint64_t bytes = 0;    // of all files
  uint64_t hits = 0;     // blocks that came back
  uint64_t writes = 0;
  uint64_t errors = 0;   // files that could not be written or read, or held something wrong; each was dropped
};

class BlockStore {
 public:
  virtual ~BlockStore() = default;

  virtual const Secret& secret() const = 0;
  // Probably there: what is asked for may still turn out wrong or gone. O(1).
  virtual bool contains(const ChainKey& key) const = 0;

  // When a block was of use: at this moment, or a little before whatever was spoken of last. Those that were not of use
  // for longest make room for others.
  enum class Use : uint8_t { kNow, kBeforeLast };

  // Where to put the num_bytes of a block that is to be kept under chain_key(name); empty when there is no room at this
  // moment, and then the block is not kept. Ended by end_write().
  virtual std::span<std::byte> begin_write(const BlockName& name, size_t num_bytes, Use use) = 0;
  virtual void end_write() = 0;
  // A block that is there is of use, though nobody asks for its bytes.
  virtual void refresh(const ChainKey& key, Use use) = 0;

  // Asks for a block. False: no room for its bytes at this moment, or nothing of that name; then nothing was asked.
  // Of an end, what comes has name.tokens' first token, and others than it has for the rest.
  virtual bool ask(const BlockName& name, Use use) = 0;
  // What was asked for comes in that order, each once.
  struct Found {
    std::span<const TokenId> tokens;   // of the block
    std::span<const std::byte> bytes;  // empty: it was not there after all
  };
  // The next that has come, valid until the next call; null when none has.
  virtual std::optional<Found> next_found() = 0;

  // Returns when something has come that was asked for, or after a while.
  virtual void wait() = 0;
  // Returns when there is room to write, or after a while: then false.
  virtual bool wait_to_write() = 0;

  // Nothing that was put in before comes back.
  virtual void clear() = 0;

  // Any thread.
  virtual DiskCounts counts() const = 0;
};

}  // namespace slipstream
