#include "model/model_digest.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/fixed_arithmetic.h"

namespace slipstream {
namespace {

using Digest = std::array<uint64_t, 2>;

// Of the weights in one task: a digest is the same whoever takes which, as it is of the pieces' digests in their order.
constexpr size_t kPieceBytes = size_t{1} << 20;

constexpr uint64_t kNowhere = ~uint64_t{0};  // the place of what a model does not have

Digest digest_of(std::span<const std::byte> bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {hash.low64, hash.high64};
}

// Values side by side, each as it lies in memory, without padding. Structs are taken apart by name, so that a field
// that comes to one of them does not compile before it has come here. What varies in length says its length first.
class Fields {
 public:
  // memory: what pointers among the values point into.
  explicit Fields(const std::byte* memory) : memory_(memory) {}

  template <class... Values>
  void add(const Values&... values) {
    (add_one(values), ...);
  }
  Digest digest() const { return digest_of(bytes_); }

 private:
  template <class Number>
    requires std::is_arithmetic_v<Number> || std::is_enum_v<Number>
  void add_one(const Number& number) {
    const auto bytes = std::as_bytes(std::span(&number, 1));
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  void add_one(const std::string& text) {
    add_one(uint64_t{text.size()});
    for (const char character : text) add_one(character);
  }
  template <class Value>
  void add_one(const std::vector<Value>& values) {
    add_one(uint64_t{values.size()});
    for (const Value& value : values) add_one(value);
  }
  template <class Value>
  void add_one(const std::optional<Value>& value) {
    add(value.has_value(), value.value_or(Value{}));
  }
  void add_one(const Digest& digest) { add(digest[0], digest[1]); }

  void add_one(const RopeScaling& scaling) {
    const auto& [factor, low_freq_factor, high_freq_factor, original_max_position_embeddings] = scaling;
    add(factor, low_freq_factor, high_freq_factor, original_max_position_embeddings);
  }
  void add_one(const QuantisedPath& quantised) {
    const auto& [path, bits, group] = quantised;
    add(path, bits, group);
  }
  void add_one(const SuggestedSampling& suggested) {
    const auto& [temperature, top_p, top_k, min_p, repetition_penalty, max_new_tokens] = suggested;
    add(temperature, top_p, top_k, min_p, repetition_penalty, max_new_tokens);
  }
  void add_one(const ModelConfig& config) {
    const auto& [family, num_layers, hidden_size, intermediate_size, num_heads, num_kv_heads, head_dim, vocab_size,
                 max_position_embeddings, rms_norm_eps, rope_theta, rope_scaling, rope_divisors, tied_embeddings,
                 qk_norm, qkv_bias, num_experts, experts_per_token, expert_size, renormalise_experts, sparse_step,
                 dense_layers, eos_tokens, suggested, bos_token, has_bos_token, quantised_bits, quantised_group,
                 quantised_paths] = config;
    add(family, num_layers, hidden_size, intermediate_size, num_heads, num_kv_heads, head_dim, vocab_size);
    add(max_position_embeddings, rms_norm_eps, rope_theta, rope_scaling, rope_divisors, tied_embeddings);
    add(qk_norm, qkv_bias, num_experts, experts_per_token, expert_size, renormalise_experts, sparse_step);
    add(dense_layers, eos_tokens, suggested, bos_token, has_bos_token, quantised_bits, quantised_group);
    add(quantised_paths);
  }

  // Weights: not the bytes, but where in the memory they are and what they are taken for.
  void add_place(const void* place) {
    add(place == nullptr ? kNowhere : static_cast<uint64_t>(static_cast<const std::byte*>(place) - memory_));
  }
  void add_one(const float* vector) { add_place(vector); }
  void add_one(const MatrixFormat& format) {
    const auto& [type, bits, group, scales] = format;
    add(type, bits, group, scales);
  }
  void add_one(const PackedMatrix& matrix) {
    const auto& [format, rows, cols, data] = matrix;
    add(format, rows, cols);
    add_place(data);
  }
  void add_one(const MlpWeights& mlp) {
    const auto& [gate, up, down] = mlp;
    add(gate, up, down);
  }
  void add_one(const LayerWeights& layer) {
    const auto& [attention_norm, mlp_norm, q_norm, k_norm, q_bias, k_bias, v_bias, q, k, v, o, mlp, router, experts] =
        layer;
    add(attention_norm, mlp_norm, q_norm, k_norm, q_bias, k_bias, v_bias, q, k, v, o, mlp, router, experts);
  }

  const std::byte* memory_;
  std::vector<std::byte> bytes_;
};

// Padding between matrices included: it is zero in every load (base/memory.h, pack_panel()).
std::vector<Digest> piece_digests(std::span<const std::byte> memory, ThreadPool& pool) {
  std::vector<Digest> digests((memory.size() + kPieceBytes - 1) / kPieceBytes);
  pool.run_tasks(static_cast<uint32_t>(digests.size()), [&](uint32_t piece, uint32_t) {
    const size_t begin = piece * kPieceBytes;
    digests[piece] = digest_of(memory.subspan(begin, std::min(kPieceBytes, memory.size() - begin)));
  });
  return digests;
}

}  // namespace

std::array<uint64_t, 2> model_digest(const ModelConfig& config, const Weights& weights, ActivationMode activations,
                                     ThreadPool& pool) {
  const auto& [embedding, lm_head, final_norm, layers, packed_bytes, memory] = weights;
  Fields fields(memory.data());
  fields.add(kArithmeticVersion, activations, config);
  fields.add(embedding, lm_head, final_norm, layers, packed_bytes);
  fields.add(piece_digests(memory.as<const std::byte>().first(packed_bytes), pool));
  return fields.digest();
}

}  // namespace slipstream
