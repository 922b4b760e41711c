// slipstream bench tune: how fast one row goes through weights for each way of reading them, beside a plain read; the
// best is remembered for this machine, whatever was before.
#include <fmt/format.h>

#include "app/benchmarks.h"
#include "app/tuning.h"
#include "base/memory.h"
#include "base/random.h"
#include "kernels/machine_limits.h"

namespace slipstream {

Result<Arena> random_memory(size_t num_bytes, ThreadPool& pool) {
  ASSIGN_OR_RETURN(Arena memory, Arena::make(num_bytes));
  const std::span<uint64_t> words = memory.as<uint64_t>();
  pool.run([&](uint32_t thread) {
    const Range mine = split(static_cast<uint32_t>(words.size()), thread, pool.num_threads());
    for (uint32_t i = mine.begin; i < mine.end; ++i) words[i] = splitmix64(1, i);
  });
  return memory;
}

Result<Figures> bench_tune(const MeasuredModelOptions& options) {
  ThreadPool pool = options.compute.make_pool();
  ASSIGN_OR_RETURN(const CpuExecutorOptions executor, options.compute.executor_options());
  ASSIGN_OR_RETURN(const Arena memory, random_memory(size_t{512} << 20, pool));
  const std::span<const std::byte> bytes{memory.data(), memory.size()};
  const TunedStreams measured = measure_streams(pool, executor.isa, bytes);
  const double read = read_bandwidth(pool, bytes);
  const StreamTunings best = best_of(measured);
  Figures figures;
  for (const uint32_t bits : {4u, 8u}) {
    for (const TunedStream& one : bits == 4 ? measured.of_4_bits : measured.of_8_bits) {
      Figure figure;
      figure.name = fmt::format("{} bits, {} streams, {} bytes ahead{}", bits, one.tuning.streams,
                                one.tuning.prefetch_bytes, one.tuning == best.of(bits) ? ", taken" : "");
      figure.value = one.gb_s;
      figure.unit = "GB/s";
      figure.limit = read;
      figures.push_back(std::move(figure));
    }
  }
  if (const auto file = TuningFile::of_this_user())
    RETURN_IF_ERROR(file->remember(machine_name(executor.isa, pool.num_threads()), best));
  return figures;
}

}  // namespace slipstream
