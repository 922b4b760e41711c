#include "model/dummy_tensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "base/memory.h"
#include "base/random.h"
#include "files/made_bytes.h"
#include "kernels/float16.h"

namespace slipstream {
namespace {

constexpr size_t kPage = 4096;
constexpr float kScaleSpread = 0.25f;  // scales are within +-25 % of their centre

// FNV-1a.
uint64_t name_hash(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return hash;
}

// Uniform in [-1, 1), a multiple of 2^-23: exact in float.
float uniform(uint64_t key, uint64_t index) {
  return static_cast<float>(static_cast<int64_t>(splitmix64(key, index)) >> 40) * 0x1p-23f;
}

// Number `index` of an entry of bf16.
uint16_t number(const DummyTensors::Entry& entry, uint64_t index) {
  const uint16_t value = narrow_bf16(entry.centre + entry.spread * uniform(entry.key, index));
  if (entry.kind != DummyTensors::Entry::Kind::kBiases) return value;
  return narrow_bf16(-entry.zero_point * widen_bf16(value));
}

// Bytes [offset, offset + out.size()) of a row of words, which may begin and end inside a word.
template <class Word, class Make>
void make_words(uint64_t offset, std::span<std::byte> out, Make&& word_at) {
  uint64_t index = offset / sizeof(Word);
  size_t done = 0;
  const auto put_part = [&](size_t from, size_t count) {
    const Word word = word_at(index++);
    std::memcpy(out.data() + done, reinterpret_cast<const std::byte*>(&word) + from, count);
    done += count;
  };
  if (const size_t from = offset % sizeof(Word); from != 0) put_part(from, std::min(sizeof(Word) - from, out.size()));
  for (; done + sizeof(Word) <= out.size(); done += sizeof(Word)) {
    const Word word = word_at(index++);
    std::memcpy(out.data() + done, &word, sizeof(Word));
  }
  if (done < out.size()) put_part(0, out.size() - done);
}

}  // namespace

DummyTensors::DummyTensors(const DummyShape& shape, uint64_t seed) : seed_(seed) {
  add_matrix("model.embed_tokens", {shape.vocab_size, shape.hidden_size}, shape.bits, shape.group_size);
  for (uint32_t layer = 0; layer < shape.num_hidden_layers; ++layer) add_layer(shape, layer);
  add_vector("model.norm.weight", shape.hidden_size, 3.0f, 0.75f);
  if (!shape.tie_word_embeddings) {
    add_matrix("lm_head", {shape.vocab_size, shape.hidden_size}, shape.bits, shape.group_size);
  }
}

void DummyTensors::add_layer(const DummyShape& shape, uint32_t layer) {
  const std::string path = fmt::format("model.layers.{}.", layer);
  const uint64_t hidden = shape.hidden_size;
  const uint64_t query = uint64_t{shape.num_attention_heads} * shape.head_dim;
  const uint64_t key_value = uint64_t{shape.num_key_value_heads} * shape.head_dim;
  const auto matrix = [&](std::string_view name, std::vector<uint64_t> sizes, uint32_t bits) {
    add_matrix(path + std::string(name), std::move(sizes), bits, shape.group_size);
  };
  const auto norm = [&](std::string_view name, uint64_t size) {
    add_vector(path + std::string(name) + ".weight", size, 1.0f, 0.25f);
  };
  norm("input_layernorm", hidden);
  for (const auto& [name, rows] : {std::pair{"q", query}, std::pair{"k", key_value}, std::pair{"v", key_value}}) {
    matrix(fmt::format("self_attn.{}_proj", name), {rows, hidden}, shape.bits);
    if (shape.qkv_bias) add_vector(path + fmt::format("self_attn.{}_proj.bias", name), rows, 0.0f, 0.1f);
  }
  if (shape.qk_norm) {
    norm("self_attn.q_norm", shape.head_dim);
    norm("self_attn.k_norm", shape.head_dim);
  }
  matrix("self_attn.o_proj", {hidden, query}, shape.bits);
  norm("post_attention_layernorm", hidden);
  if (shape.num_experts == 0) {
    matrix("mlp.gate_proj", {shape.intermediate_size, hidden}, shape.bits);
    matrix("mlp.up_proj", {shape.intermediate_size, hidden}, shape.bits);
    matrix("mlp.down_proj", {hidden, shape.intermediate_size}, shape.bits);
    return;
  }
  matrix("mlp.gate", {shape.num_experts, hidden}, kDummyRouterBits);
  matrix("mlp.switch_mlp.gate_proj", {shape.num_experts, shape.moe_intermediate_size, hidden}, shape.bits);
  matrix("mlp.switch_mlp.up_proj", {shape.num_experts, shape.moe_intermediate_size, hidden}, shape.bits);
  matrix("mlp.switch_mlp.down_proj", {shape.num_experts, hidden, shape.moe_intermediate_size}, shape.bits);
}

// The last size is cols. A value is uniform in 0 .. 2^bits - 1: its variance is (4^bits - 1) / 12.
void DummyTensors::add_matrix(const std::string& path, std::vector<uint64_t> shape, uint32_t bits, uint32_t group) {
  const uint64_t cols = shape.back();
  const double levels = static_cast<double>(1u << bits);
  const auto centre = static_cast<float>(1.0 / std::sqrt(static_cast<double>(cols) * (levels * levels - 1) / 12));
  Entry values{path + ".weight", DType::kU32, std::move(shape), 0, Entry::Kind::kValues, 0, 0, 0, 0};
  Entry scales{path + ".scales", DType::kBf16, values.shape, 0, Entry::Kind::kScales, 0, centre,
               centre * kScaleSpread, 0};
  values.shape.back() = cols * bits / 32;
  scales.shape.back() = cols / group;
  Entry biases = scales;
  biases.name = path + ".biases";
  biases.kind = Entry::Kind::kBiases;
  biases.zero_point = static_cast<float>((levels - 1) / 2);
  values.key = splitmix64(seed_, name_hash(values.name));
  scales.key = biases.key = splitmix64(seed_, name_hash(scales.name));
  for (Entry* entry : {&values, &scales, &biases}) {
    entry->num_bytes = tensor_bytes(entry->dtype, entry->shape).value();
    entries_.push_back(std::move(*entry));
  }
}

void DummyTensors::add_vector(const std::string& name, uint64_t size, float centre, float spread) {
  entries_.push_back({name, DType::kBf16, {size}, size * 2, Entry::Kind::kVector, splitmix64(seed_, name_hash(name)),
                      centre, spread, 0});
}

uint64_t DummyTensors::total_bytes() const {
  uint64_t total = 0;
  for (const Entry& entry : entries_) total += entry.num_bytes;
  return total;
}

void DummyTensors::make(const Entry& entry, uint64_t offset, std::span<std::byte> out) const {
  CHECK(offset + out.size() <= entry.num_bytes, "{} bytes at {} of {}", out.size(), offset, entry.num_bytes);
  if (entry.kind == Entry::Kind::kValues) {
    make_words<uint64_t>(offset, out, [key = entry.key](uint64_t index) { return splitmix64(key, index); });
  } else {
    make_words<uint16_t>(offset, out, [&entry](uint64_t index) { return number(entry, index); });
  }
}

Result<TensorSource> dummy_tensor_source(const DummyShape& shape, uint64_t seed) {
  const auto dummy = std::make_shared<const DummyTensors>(shape, seed);
  // Each tensor begins on a page of its own, so that releasing one leaves its neighbours alone.
  std::vector<size_t> begins{0};
  for (const DummyTensors::Entry& entry : dummy->entries())
    begins.push_back(begins.back() + round_up(entry.num_bytes, kPage));
  const auto make = [dummy, begins](size_t offset, std::span<std::byte> out) {
    const auto next = std::upper_bound(begins.begin(), begins.end(), offset);
    const auto index = static_cast<size_t>(next - begins.begin()) - 1;
    dummy->make(dummy->entries()[index], offset - begins[index], out);
  };
  ASSIGN_OR_RETURN(std::shared_ptr<MadeBytes> made, MadeBytes::reserve(begins.back(), make));
  std::vector<Tensor> tensors;
  for (size_t i = 0; i < dummy->entries().size(); ++i) {
    const DummyTensors::Entry& entry = dummy->entries()[i];
    tensors.push_back(
        {entry.name, entry.dtype, entry.shape, made->bytes().subspan(begins[i], entry.num_bytes), "dummy weights"});
  }
  return TensorSource::make(std::move(tensors), std::move(made));
}

}  // namespace slipstream
