// Attention beside its limits. decode: GB/s of K and V that one new token each of several sequences reads, beside a
// plain read of the very same blocks in the same (random) order, the best of a few ways; and the time beside what this
// many FMAs take. prompt: FLOP/s of what the rows see, no more, beside the FMAs' peak.

#include <fmt/core.h>
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "base/memory.h"
#include "kernels/float16.h"
#include "kernels/machine_limits.h"
#include "kernels/random_matrices.h"
#include "kernels_bench.h"

namespace slipstream {
namespace {

constexpr uint32_t kBlock = 64;

// Sequences of `context` tokens whose blocks lie in random order in all of the memory.
struct AttentionShape {
  uint32_t head_dim, group, kv_heads, context, sequences;
};

struct KvPool {
  KvView view;
  size_t head_bytes;  // one KV head's part of a block
  uint32_t blocks;    // of a sequence
  std::vector<uint32_t> table;

  KvPool(std::span<std::byte> memory, const AttentionShape& shape) {
    head_bytes = size_t{kBlock} * shape.head_dim * 2 * 2;
    const size_t block_bytes = head_bytes * shape.kv_heads;
    view = {memory.data(), block_bytes, head_bytes, kBlock, shape.head_dim, false};
    blocks = (shape.context + kBlock - 1) / kBlock;
    Random random(3);
    for (uint32_t i = 0; i < memory.size() / block_bytes; ++i) table.push_back(i);
    for (size_t i = table.size(); i > 1; --i) {
      std::swap(table[i - 1], table[random.below(static_cast<uint32_t>(i))]);
    }
  }

  uint32_t num_sequences() const { return static_cast<uint32_t>(table.size() / blocks); }
  const uint32_t* sequence(uint32_t index) const {
    return table.data() + size_t{index % num_sequences()} * blocks;
  }
};

void fill_kv(std::span<std::byte> memory) {
  constexpr size_t kRepeated = 8 << 20;
  Random random(4);
  for (size_t i = 0; i < kRepeated; i += 2) {
    const uint16_t bits = narrow_fp16(random.uniform(-1, 1));
    std::memcpy(memory.data() + i, &bits, 2);
  }
  for (size_t i = kRepeated; i < memory.size(); i += kRepeated) {
    std::memcpy(memory.data() + i, memory.data(), std::min(kRepeated, memory.size() - i));
  }
}

// -- the limit -----------------------------------------------------------------------------------
// Reads one KV head's blocks, kBlocks of them side by side, 128 bytes of each in turn; `ahead` > 0: asks for what lies
// so many bytes further in the same order, into L2.
template <size_t kBlocks>
uint64_t read_blocks(const KvPool& kv, const uint32_t* table, uint32_t head, size_t ahead) {
  const auto* base = reinterpret_cast<const char*>(kv.view.base) + head * kv.head_bytes;
  __m256i sums[4] = {};
  for (uint32_t first = 0; first < kv.blocks; first += kBlocks) {
    const char* block[kBlocks];
    for (uint32_t b = 0; b < kBlocks; ++b) {
      block[b] = base + table[std::min(first + b, kv.blocks - 1)] * kv.view.block_stride;
    }
    const size_t side = std::min<size_t>(kBlocks, kv.blocks - first);
    const char* next = base + table[std::min(first + 1, kv.blocks - 1)] * kv.view.block_stride;
    for (size_t i = 0; i < kv.head_bytes; i += 128) {
      if (ahead > 0) {
        const char* from = i + ahead < kv.head_bytes ? block[0] + i + ahead : next + i + ahead - kv.head_bytes;
        _mm_prefetch(from, _MM_HINT_T1);
        _mm_prefetch(from + 64, _MM_HINT_T1);
      }
      for (size_t b = 0; b < side; ++b) {
        for (int j = 0; j < 4; ++j) {
          const auto* from = reinterpret_cast<const __m256i*>(block[b] + i) + j;
          sums[j] = _mm256_xor_si256(sums[j], _mm256_loadu_si256(from));
        }
      }
    }
  }
  const __m256i sum = _mm256_xor_si256(_mm256_xor_si256(sums[0], sums[1]), _mm256_xor_si256(sums[2], sums[3]));
  return static_cast<uint64_t>(_mm256_extract_epi64(sum, 0));
}

using ReadBlocks = uint64_t (*)(const KvPool& kv, const uint32_t* table, uint32_t head, size_t ahead);
struct BlockReadWay {
  ReadBlocks read;
  size_t ahead;
  const char* name;
};
constexpr BlockReadWay kBlockReadWays[] = {{read_blocks<1>, 0, "one by one"},
                                           {read_blocks<1>, 8192, "one by one, +8 KB"},
                                           {read_blocks<4>, 0, "4 side by side"},
                                           {read_blocks<8>, 0, "8 side by side"}};

// -- decode --------------------------------------------------------------------------------------
double seconds_of(auto&& work) {
  const double begin = Clock::real().now_s();
  work();
  return Clock::real().now_s() - begin;
}

void bench_decode(const KernelsBench& bench, const AttentionShape& shape) {
  const KvPool kv(bench.memory, shape);
  const uint32_t part = shape.group * shape.head_dim, width = shape.kv_heads * part;
  const std::vector<float> q(width, 0.3f);
  const size_t scratch_bytes = round_up(attention_scratch_bytes(shape.group, shape.head_dim, shape.context), 4096);
  AlignedBytes scratch(bench.options.threads * scratch_bytes);
  std::vector<float> out(size_t{width} * shape.sequences);
  std::vector<uint64_t> sinks(bench.options.threads * 8);
  const uint32_t items = shape.sequences * shape.kv_heads;
  uint32_t first = 0;  // sequence of the next run: no run reads what a cache still holds
  const auto attend = [&] {
    bench.pool.run_tasks(items, [&](uint32_t item, uint32_t thread) {
      const uint32_t sequence = item / shape.kv_heads, head = item % shape.kv_heads;
      const AttentionSlice slice{kv.sequence(first + sequence), shape.context - 1, 1};
      bench.kernels.attention(kv.view, slice, head, shape.group, {0, 1}, {q.data() + head * part, 1, part, width},
                              {out.data() + size_t{sequence} * width + head * part, 1, part, width},
                              scratch.data() + thread * scratch_bytes);
    });
    first += shape.sequences;
  };
  const auto read = [&](const BlockReadWay& way) {
    bench.pool.run_tasks(items, [&](uint32_t item, uint32_t thread) {
      sinks[thread * 8] += way.read(kv, kv.sequence(first + item / shape.kv_heads), item % shape.kv_heads, way.ahead);
    });
    first += shape.sequences;
  };
  // In turn, so that what else the machine does meets all of them.
  double shortest = 1e9, shortest_read[std::size(kBlockReadWays)];
  std::fill(std::begin(shortest_read), std::end(shortest_read), 1e9);
  attend();
  for (int round = 0; round < 25; ++round) {
    shortest = std::min(shortest, seconds_of(attend));
    for (size_t way = 0; way < std::size(kBlockReadWays); ++way) {
      shortest_read[way] = std::min(shortest_read[way], seconds_of([&] { read(kBlockReadWays[way]); }));
    }
  }
  const size_t best = static_cast<size_t>(std::min_element(std::begin(shortest_read), std::end(shortest_read)) -
                                          std::begin(shortest_read));
  const double bytes = static_cast<double>(items) * kv.blocks * static_cast<double>(kv.head_bytes) * 1e-9;
  const double fma_seconds = 4.0 * shape.context * part * items / (bench.fma_tops * 1e12);
  const double limit = std::max(shortest_read[best], fma_seconds);
  fmt::print(
      "decode  head_dim {:3} group {} context {:4}: {:5.1f} GB/s of K and V; a read of the blocks {:5.1f} ({}), FMAs "
      "alone {:5.1f}; limit/time {:.2f}\n",
      shape.head_dim, shape.group, shape.context, bytes / shortest, bytes / shortest_read[best],
      kBlockReadWays[best].name, bytes / fma_seconds, limit / shortest);
}

// -- prompt --------------------------------------------------------------------------------------
// All tokens of a prompt, 64 rows at a time as in model/decoder.cc.
void bench_prompt(const KernelsBench& bench, const AttentionShape& shape) {
  constexpr uint32_t kRows = 64;
  const KvPool kv(bench.memory, shape);
  const uint32_t part = shape.group * shape.head_dim, width = shape.kv_heads * part;
  const std::vector<float> q(size_t{width} * shape.context, 0.3f);
  std::vector<float> out(q.size());
  const size_t scratch_bytes = round_up(attention_scratch_bytes(shape.group, shape.head_dim, shape.context), 4096);
  AlignedBytes scratch(bench.options.threads * scratch_bytes);
  const AttentionSlice slice{kv.sequence(0), 0, shape.context};
  const uint32_t parts = (shape.context + kRows - 1) / kRows;
  const double seconds = shortest_seconds(12, [&](int) {
    bench.pool.run_tasks(parts * shape.kv_heads, [&](uint32_t item, uint32_t thread) {
      const uint32_t begin = (parts - 1 - item / shape.kv_heads) * kRows, head = item % shape.kv_heads;
      bench.kernels.attention(kv.view, slice, head, shape.group, {begin, std::min(begin + kRows, shape.context)},
                              {q.data() + head * part, shape.context, part, width},
                              {out.data() + head * part, shape.context, part, width},
                              scratch.data() + thread * scratch_bytes);
    });
  });
  const double operations = 2.0 * part * shape.kv_heads * shape.context * (shape.context + 1.0);
  fmt::print("prompt  head_dim {:3} group {} tokens {:5}: {:6.3f} TFLOP/s ({:3.0f} % of FMA)\n", shape.head_dim,
             shape.group, shape.context, operations / seconds * 1e-12, operations / seconds * 1e-10 / bench.fma_tops);
}

bool wanted(const std::vector<uint32_t>& list, uint32_t value) {
  return list.empty() || std::find(list.begin(), list.end(), value) != list.end();
}

}  // namespace

void bench_attention(KernelsBench bench) {
  const std::pair<uint32_t, std::vector<uint32_t>> shapes[] = {
      {64, {1, 2, 3, 4, 8}}, {80, {4}}, {96, {4}}, {128, {1, 2, 3, 4, 6, 8}}};
  fill_kv(bench.memory);
  for (const auto& [head_dim, groups] : shapes) {
    if (!wanted(bench.options.head_dims, head_dim)) continue;
    for (uint32_t group : groups) {
      if (!wanted(bench.options.groups, group)) continue;
      // Again and again: what it is when both threads happen to share a processor is not the machine's.
      bench.fma_tops = std::max(bench.fma_tops, fma_peak(bench.pool, bench.options.isa));
      for (uint32_t context : {512u, 2048u, 8192u}) {
        if (!wanted(bench.options.contexts, context)) continue;
        // 8 sequences; as many KV heads as make a run of a millisecond or so.
        bench_decode(bench, {head_dim, group, std::clamp(8192 / context, 2u, 8u), context, 8});
      }
      for (uint32_t context : {512u, 2048u}) {
        if (wanted(bench.options.contexts, context)) bench_prompt(bench, {head_dim, group, 2, context, 1});
      }
    }
  }
}

}  // namespace slipstream
