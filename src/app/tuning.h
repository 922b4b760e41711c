// What is measured once per machine: the StreamTunings under which it reads weights fastest. Remembered in the user's
// cache folder, by processor, instruction set and number of threads.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/thread_pool.h"
#include "kernels/kernels.h"
#include "kernels/stream_tuning.h"

namespace slipstream {

// One candidate, and how fast one row went through matrices with it.
struct TunedStream {
  StreamTuning tuning;
  double gb_s = 0;
};
struct TunedStreams {
  std::vector<TunedStream> of_4_bits, of_8_bits;
};

// All candidates, measured on `memory` (any bytes but zeros, much larger than the caches) in less than two seconds. The
// tunings in force are the same afterwards.
TunedStreams measure_streams(ThreadPool& pool, Isa isa, std::span<const std::byte> memory);
// The default where nothing is more than 5 % better.
StreamTuning best_of(std::span<const TunedStream> measured);
StreamTunings best_of(const TunedStreams& measured);

// "AMD EPYC 25/17/1, avx2, 2 threads": what a tuning belongs to.
std::string machine_name(Isa isa, uint32_t num_threads);

// The file of remembered tunings. Not there, not readable, or wrong in any way: nothing is remembered.
class TuningFile {
 public:
  explicit TuningFile(std::string path) : path_(std::move(path)) {}
  // In the user's cache folder; absent where the environment does not say where that is.
  static std::optional<TuningFile> of_this_user();

  const std::string& path() const { return path_; }
  std::optional<StreamTunings> find(const std::string& machine) const;
  // Beside those of other machines. Makes the folder.
  Status remember(const std::string& machine, const StreamTunings& tunings) const;

 private:
  std::string path_;
};

// Sets what is remembered for this machine; else measures, sets, remembers and says so. Weights so few that they stay
// in a cache are left alone.
void tune_for_weights(ThreadPool& pool, Isa isa, std::span<const std::byte> weights);

}  // namespace slipstream
