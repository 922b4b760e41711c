// The arithmetic of the model, each operation as one thread's work on spans: no models, no threads, no allocation.
//
// reference.cc defines what each operation means, in plain C, to the bit (ARITHMETIC.md 3 and 9, AVX2.md 5.1); every
// other instruction set gives the same bits, however rows, panels and heads are divided among calls and threads. All
// run with FTZ|DAZ on (base/float_mode.h). A row that is not finite has no defined bits; it is reported, never spread
// to others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/matrix.h"
#include "base/thread_pool.h"
#include "kernels/fixed_arithmetic.h"
#include "kernels/packed_matrix.h"

namespace slipstream {

// kAvx512: F, BW, DQ, VL and VNNI. kAvx512Coupled: BF16 as well, and products that have additions for a part of the
// multiplications (activation_layout.h), which is faster on AMD's processors and slower on Intel's.
enum class Isa : uint8_t { kReference, kAvx2, kAvx512, kAvx512Coupled };
inline constexpr Isa kAllIsas[] = {Isa::kReference, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Coupled};

std::string_view isa_name(Isa isa);  // "reference", "avx2", "avx512", "avx512-coupled"
std::optional<Isa> isa_from_name(std::string_view name);
bool isa_supported(Isa isa);  // by this processor
Isa best_isa();  // the fastest that this processor supports

// Rows of activations as a matrix product reads them.
struct MatmulInput {
  Matrix<const float> rows;              // fp32 [rows, cols]; read by unquantised weights, and by all in fp32 mode
  const std::byte* quantised = nullptr;  // the same rows by Kernels::quantise; null = fp32 mode (--activations f32)
};

// A row's chunks of kChunkInputs inputs, the last maybe shorter. Each is quantised by itself.
constexpr Range all_chunks(uint32_t cols) { return {0, (cols + kChunkInputs - 1) / kChunkInputs}; }

// KV of one layer as attention sees it (KvStorage in model/ owns the bytes).
// A block holds `block_tokens` tokens in pages of page_tokens = min(32, block_tokens); for one KV head the pages of a
// block are contiguous: page = K [head_dim][page_tokens], then V [page_tokens][head_dim].
struct KvView {
  std::byte* base = nullptr;  // block 0, head 0 of this layer
  size_t block_stride = 0;    // bytes from block to block
  size_t head_stride = 0;     // bytes from KV head to KV head inside a block
  uint32_t block_tokens = 0;  // power of two
  uint32_t head_dim = 0;
  bool fp32 = false;  // fp32 instead of fp16 (--activations f32)
};

// Consecutive tokens of one sequence, in one step.
struct AttentionSlice {
  const uint32_t* block_table = nullptr;  // block of positions [i * block_tokens, (i + 1) * block_tokens)
  uint32_t first_position = 0;            // absolute position of the slice's first row
  uint32_t num_rows = 0;
};

// Some segments of one row's context: segment i is positions [256 i, 256 (i + 1)). What attention makes of one, before
// it is merged: for each query head its weighted V, the largest score and the sum of weights, segment_floats() in all.
struct SegmentParts {
  float* data = nullptr;      // [group][num_segments][segment_floats]
  uint32_t num_segments = 0;  // of the row's whole context
};
constexpr size_t segment_floats(uint32_t head_dim) { return (size_t{head_dim} + 2 + 15) / 16 * 16; }
uint32_t num_attention_segments(uint32_t context);

// Logits in (low, high]. Sampling narrows it down on where the tokens that it keeps end.
struct LogitBracket {
  float low;
  float high;
};

// One instruction set's functions. All pointers are set.
struct Kernels {
  Isa isa;

  // -- matrix products ---------------------------------------------------------------------------
  // Bytes of `num_rows` quantised rows. The layout inside is this instruction set's own; 64-byte aligned buffer. A
  // multiple of 64, and at most num_rows * quantised_bytes(1, cols).
  size_t (*quantised_bytes)(uint32_t num_rows, uint32_t cols);
  // Quantises some chunks (of all_chunks(x.cols)) of rows [which) of x into `out`, laid out for all of x. Parts may be
  // made at once by several threads. finite[r] = 0 is stored where row r is not finite; else its flag is left alone.
  void (*quantise)(Matrix<const float> x, Range which, Range chunks, std::byte* out, uint8_t* finite);
  // y[:, 16 * p ...] = x W^T for panels p in `panels`, all rows of x. y is fp32 [x.rows, >= w.rows]; only columns <
  // w.rows are written. `scratch`: matmul_scratch_bytes() of this thread's own, 64-byte aligned.
  void (*matmul)(const PackedMatrix& w, const MatmulInput& x, Range panels, Matrix<float> y, std::byte* scratch);

  // -- row by row --------------------------------------------------------------------------------
  // out = (x * inv) * weight with inv = 1 / sqrt(mean(x^2) + eps). out may be x. False: the row is not finite (out is
  // then unspecified).
  bool (*rms_norm)(const float* x, const float* weight, float eps, uint32_t n, float* out);
  // Rotates pairs (i, i + head_dim / 2) of one head in place. cos, sin: [head_dim / 2].
  void (*rope)(float* head, const float* cos, const float* sin, uint32_t head_dim);
  void (*swiglu)(const float* gate, const float* up, uint32_t n, float* out);  // silu(gate) * up
  void (*add)(float* x, const float* y, uint32_t n);                           // x += y (residual, bias)
  void (*add_scaled)(float* x, const float* y, float weight, uint32_t n);      // x = fma(weight, y, x) (experts)

  // -- over a vocabulary -------------------------------------------------------------------------
  // A block of n <= kSumBlock logits: weights[i] = exp2((logits[i] - max_logit) * scale), 0 where the logit is
  // -infinity and from n to kSumBlock. No logit is larger than max_logit. Returns their sum: 16 virtual lanes, lane
  // i % 16, and the tree L[j] += L[j + 8], + 4, + 2, + 1.
  float (*weigh)(const float* logits, uint32_t n, float max_logit, float scale, float* weights);
  // Of tokens [which): those whose logit is in the bracket go to `inside` in ascending order (room for 16 more than
  // there are), and their number is returned; the weights of those above it are added to `above`, in 16 virtual lanes
  // of doubles, lane (token - which.begin) % 16, and the tree.
  uint32_t (*divide)(const float* logits, const float* weights, Range which, const LogitBracket& bracket,
                     uint32_t* inside, double* above);

  // -- KV and attention --------------------------------------------------------------------------
  // Stores one token's K and V of one KV head at `position` of the sequence. Returns how many values were clamped to
  // +-65504.
  uint32_t (*store_kv)(const KvView& kv, const AttentionSlice& slice, uint32_t kv_head, uint32_t position,
                       const float* k, const float* v);
  // For rows [which) of the slice and one KV head with its `group` query heads: out = softmax(q K / sqrt(head_dim))
  // V, row r seeing positions 0 .. first_position + r. q, out: [slice.num_rows, stride] beginning at this KV head's
  // first query head, query heads contiguous. Never reads a slot beyond a row's position into a result. `scratch`:
  // attention_scratch_bytes().
  void (*attention)(const KvView& kv, const AttentionSlice& slice, uint32_t kv_head, uint32_t group, Range which,
                    Matrix<const float> q, Matrix<float> out, std::byte* scratch);
  // The same for one row, cut between segments: `parts` of `segments` alone (q: the row's query heads, contiguous);
  // and once all are there, out = the parts merged in ascending order. Any cut gives the bits of attention().
  void (*attend_segments)(const KvView& kv, const AttentionSlice& slice, uint32_t kv_head, uint32_t group, uint32_t row,
                          Range segments, const float* q, const SegmentParts& parts, std::byte* scratch);
  void (*merge_segments)(const SegmentParts& parts, uint32_t group, uint32_t head_dim, float* out);
};

const Kernels& kernels_for(Isa isa);  // isa must be supported
const Kernels& best_kernels();        // those of best_isa(), without asking the processor again

// Upper bounds for every instruction set.
size_t matmul_scratch_bytes(uint32_t max_rows, uint32_t max_cols);
size_t attention_scratch_bytes(uint32_t group, uint32_t head_dim, uint32_t max_context);

// True when every one of the n values is finite (by bits).
bool all_finite(const float* values, size_t n);

}  // namespace slipstream
