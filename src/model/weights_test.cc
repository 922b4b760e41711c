#include "model/weights.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "files/test_files.h"
#include "kernels/float16.h"
#include "model/checkpoint.h"

namespace slipstream {
namespace {

const std::string kData = SLIPSTREAM_TEST_DATA;

Result<Weights> load(const Checkpoint& checkpoint, uint32_t num_threads = 2) {
  ThreadPool pool(num_threads);
  return load_checkpoint(checkpoint, pool, {});
}

float widen(DType dtype, const std::byte* bytes, size_t index) {
  float value = 0;
  uint16_t half = 0;
  if (dtype == DType::kF32) {
    std::memcpy(&value, bytes + index * 4, 4);
    return value;
  }
  std::memcpy(&half, bytes + index * 2, 2);
  return dtype == DType::kBf16 ? widen_bf16(half) : widen_fp16(half);
}

// Weight (row, col) as the format's own description defines it, bit by bit; knows nothing of packing. In a stack of
// matrices rows are counted on.
float stored_weight(const TensorSource& source, const std::string& path, uint32_t row, uint32_t col, uint32_t cols) {
  const Tensor& values = *source.find(path + ".weight");
  const Tensor* scales = source.find(path + ".scales");
  if (scales == nullptr) return widen(values.dtype, values.bytes.data(), static_cast<size_t>(row) * cols + col);
  const auto bits = static_cast<uint32_t>(values.shape.back() * 32 / cols);
  uint32_t q = 0;
  for (uint32_t i = 0; i < bits; ++i) {
    const size_t bit = static_cast<size_t>(col) * bits + i;
    q |= (static_cast<uint32_t>(values.bytes[row * values.shape.back() * 4 + bit / 8]) >> bit % 8 & 1) << i;
  }
  const size_t group = row * scales->shape.back() + col / (cols / scales->shape.back());
  return std::fma(static_cast<float>(q), widen(scales->dtype, scales->bytes.data(), group),
                  widen(scales->dtype, source.find(path + ".biases")->bytes.data(), group));
}

void expect_matrix(const TensorSource& source, const std::string& path, const PackedMatrix& matrix,
                   uint32_t slice = 0) {
  ASSERT_GT(matrix.rows, 0u);
  std::vector<float> row(matrix.cols);
  for (uint32_t r = 0; r < matrix.rows; ++r) {
    unpack_row(matrix, r, row.data());
    for (uint32_t c = 0; c < matrix.cols; ++c) {
      ASSERT_EQ(row[c], stored_weight(source, path, slice * matrix.rows + r, c, matrix.cols))
          << path << " row " << r << " col " << c;
    }
  }
}

void expect_vector(const TensorSource& source, const std::string& path, const float* vector,
                   const std::string& kind = ".weight") {
  const Tensor& tensor = *source.find(path + kind);
  for (size_t i = 0; i < tensor.shape[0]; ++i)
    ASSERT_EQ(vector[i], widen(tensor.dtype, tensor.bytes.data(), i)) << path << " " << i;
}

void expect_experts(const TensorSource& source, const std::string& path, const LayerWeights& layer) {
  expect_matrix(source, path + "gate", layer.router);
  const bool stacked = source.find(path + "switch_mlp.up_proj.weight") != nullptr;
  for (uint32_t expert = 0; expert < layer.experts.size(); ++expert) {
    const MlpWeights& mlp = layer.experts[expert];
    const std::string of = path + (stacked ? "switch_mlp." : "experts." + std::to_string(expert) + ".");
    expect_matrix(source, of + "gate_proj", mlp.gate, stacked ? expert : 0);
    expect_matrix(source, of + "up_proj", mlp.up, stacked ? expert : 0);
    expect_matrix(source, of + "down_proj", mlp.down, stacked ? expert : 0);
  }
}

void expect_all(const Checkpoint& checkpoint, const Weights& weights) {
  const TensorSource& source = checkpoint.tensors;
  expect_matrix(source, "model.embed_tokens", weights.embedding);
  expect_matrix(source, checkpoint.config.tied_embeddings ? "model.embed_tokens" : "lm_head", weights.lm_head);
  expect_vector(source, "model.norm", weights.final_norm);
  ASSERT_EQ(weights.layers.size(), checkpoint.config.num_layers);
  for (size_t i = 0; i < weights.layers.size(); ++i) {
    const LayerWeights& layer = weights.layers[i];
    const std::string path = "model.layers." + std::to_string(i) + ".";
    expect_matrix(source, path + "self_attn.q_proj", layer.q);
    expect_matrix(source, path + "self_attn.k_proj", layer.k);
    expect_matrix(source, path + "self_attn.v_proj", layer.v);
    expect_matrix(source, path + "self_attn.o_proj", layer.o);
    EXPECT_EQ(layer.experts.size(),
              checkpoint.config.is_sparse(static_cast<uint32_t>(i)) ? checkpoint.config.num_experts : 0);
    if (layer.sparse()) {
      expect_experts(source, path + "mlp.", layer);
    } else {
      expect_matrix(source, path + "mlp.gate_proj", layer.mlp.gate);
      expect_matrix(source, path + "mlp.up_proj", layer.mlp.up);
      expect_matrix(source, path + "mlp.down_proj", layer.mlp.down);
    }
    EXPECT_EQ(layer.q_bias != nullptr, checkpoint.config.qkv_bias);
    if (checkpoint.config.qkv_bias) {
      expect_vector(source, path + "self_attn.q_proj", layer.q_bias, ".bias");
      expect_vector(source, path + "self_attn.k_proj", layer.k_bias, ".bias");
      expect_vector(source, path + "self_attn.v_proj", layer.v_bias, ".bias");
    }
    expect_vector(source, path + "input_layernorm", layer.attention_norm);
    expect_vector(source, path + "post_attention_layernorm", layer.mlp_norm);
    EXPECT_EQ(layer.q_norm != nullptr, checkpoint.config.qk_norm);
    if (!checkpoint.config.qk_norm) continue;
    expect_vector(source, path + "self_attn.q_norm", layer.q_norm);
    expect_vector(source, path + "self_attn.k_norm", layer.k_norm);
  }
}

// The committed oracle folders, and those of SLIPSTREAM_DATA.
std::vector<std::string> oracle_folders() {
  std::vector<std::string> folders;
  const auto add = [&](const std::string& parent) {
    for (const auto& entry : std::filesystem::directory_iterator(parent)) {
      if (std::filesystem::exists(entry.path() / "config.json")) folders.push_back(entry.path().string());
    }
  };
  add(kData + "/oracle");
  if (const char* data = std::getenv("SLIPSTREAM_DATA"); data != nullptr) add(std::string(data) + "/oracle");
  return folders;
}

TEST(Weights, every_packed_value_is_the_stored_one) {
  const auto folders = oracle_folders();
  EXPECT_GE(folders.size(), 8u);
  for (const std::string& folder : folders) {
    SCOPED_TRACE(folder);
    const auto checkpoint = open_checkpoint(folder);
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
    const auto weights = load(*checkpoint);
    ASSERT_TRUE(weights.ok()) << weights.error().message;
    expect_all(*checkpoint, *weights);
  }
}

// A folder of 4 bits in groups of 64 made over in another width: the same scales, random values.
void make_width(const std::string& source, uint32_t bits, const TempFolder& folder) {
  std::filesystem::copy(source, folder.path(), std::filesystem::copy_options::recursive);
  const std::string file = read_file(folder.path("model.safetensors"));
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, file.data(), 8);
  auto header = nlohmann::json::parse(file.substr(8, header_bytes));
  header.erase("__metadata__");
  std::string data;
  std::mt19937 random(bits);
  for (auto& [name, entry] : header.items()) {
    const size_t begin = entry["data_offsets"][0], end = entry["data_offsets"][1], first = data.size();
    if (entry["dtype"] == "U32") {
      entry["shape"][1] = entry["shape"][1].get<size_t>() * bits / 4;
      for (size_t i = 0; i < (end - begin) * bits / 4; ++i) data.push_back(static_cast<char>(random()));
    } else {
      data += file.substr(8 + header_bytes + begin, end - begin);
    }
    entry["data_offsets"] = {first, data.size()};
  }
  write_file(folder.path("model.safetensors"), safetensors_bytes(header.dump(), data));
  auto config = nlohmann::json::parse(read_file(folder.path("config.json")));
  for (const char* block : {"quantization", "quantization_config"}) config[block]["bits"] = bits;
  write_file(folder.path("config.json"), config.dump());
}

TEST(Weights, every_width_is_a_stream_of_bits) {
  for (const uint32_t bits : {2u, 3u, 4u, 5u, 6u, 8u}) {
    SCOPED_TRACE(bits);
    const TempFolder folder;
    make_width(kData + "/oracle/llama-mlx-4bit-g64", bits, folder);
    const auto checkpoint = open_checkpoint(folder.path());
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
    const auto weights = load(*checkpoint);
    ASSERT_TRUE(weights.ok()) << weights.error().message;
    EXPECT_EQ(weights->embedding.format.bits, bits <= 4 ? 4 : 8);
    expect_all(*checkpoint, *weights);
  }
}

TEST(Weights, any_number_of_threads_packs_the_same_bytes) {
  const auto checkpoint = open_checkpoint(kData + "/oracle/llama-mlx-4bit-g64");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  const Weights one = load(*checkpoint, 1).value();
  const Weights five = load(*checkpoint, 5).value();
  ASSERT_EQ(one.packed_bytes, five.packed_bytes);
  EXPECT_EQ(std::memcmp(one.memory.data(), five.memory.data(), one.packed_bytes), 0);
}

TEST(Weights, progress_rises_to_the_whole_checkpoint) {
  const auto checkpoint = open_checkpoint(kData + "/oracle/qwen2-mlx-8bit-g32");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  ThreadPool pool(2);
  uint64_t last = 0;
  const auto weights = load_checkpoint(*checkpoint, pool, [&](uint64_t done, uint64_t total) {
    EXPECT_GE(done, last);
    EXPECT_EQ(total, checkpoint->tensors.total_bytes());
    last = done;
  });
  ASSERT_TRUE(weights.ok()) << weights.error().message;
  EXPECT_EQ(last, checkpoint->tensors.total_bytes());
}

// ---------------------------------------------------------------- GGUF

// A two-layer llama of random numbers as a GGUF file with one tensor type for its matrices, and what it means.
class RandomGguf {
 public:
  static constexpr uint32_t kHidden = 64, kIntermediate = 96, kHeads = 2, kKvHeads = 1, kHeadDim = 32, kVocab = 40,
                            kLayers = 2;

  explicit RandomGguf(uint32_t type) : type_(type), random_(type + 1) {
    builder_.string("general.architecture", "llama");
    builder_.u32("llama.block_count", kLayers);
    builder_.u32("llama.context_length", 128);
    builder_.u32("llama.embedding_length", kHidden);
    builder_.u32("llama.feed_forward_length", kIntermediate);
    builder_.u32("llama.attention.head_count", kHeads);
    builder_.u32("llama.attention.head_count_kv", kKvHeads);
    builder_.f32("llama.attention.layer_norm_rms_epsilon", 1e-5f);
    builder_.u32("llama.vocab_size", kVocab);
    matrix("token_embd", kVocab, kHidden);
    norm("output_norm");
    for (uint32_t i = 0; i < kLayers; ++i) {
      const std::string layer = "blk." + std::to_string(i) + ".";
      norm(layer + "attn_norm");
      norm(layer + "ffn_norm");
      matrix(layer + "attn_q", kHeads * kHeadDim, kHidden);
      matrix(layer + "attn_k", kKvHeads * kHeadDim, kHidden);
      matrix(layer + "attn_v", kKvHeads * kHeadDim, kHidden);
      matrix(layer + "attn_output", kHidden, kHeads * kHeadDim);
      matrix(layer + "ffn_gate", kIntermediate, kHidden);
      matrix(layer + "ffn_up", kIntermediate, kHidden);
      matrix(layer + "ffn_down", kHidden, kIntermediate);
    }
  }

  std::string bytes() const { return builder_.bytes(); }
  // [rows][cols] in the order of the file.
  const std::vector<float>& meaning(const std::string& name) const { return meaning_.at(name); }

 private:
  float number() { return std::uniform_real_distribution<float>(-1.0f, 1.0f)(random_); }

  void norm(const std::string& name) {
    std::string data;
    for (uint32_t i = 0; i < kHidden; ++i) {
      meaning_[name].push_back(number());
      data += bytes_of(meaning_[name].back());
    }
    builder_.tensor(name + ".weight", GgufBuilder::kF32, {kHidden}, data);
  }

  void matrix(const std::string& name, uint32_t rows, uint32_t cols) {
    std::string data;
    std::vector<float>& meaning = meaning_[name];
    for (uint32_t block = 0; block < rows * cols / 32; ++block) data += block_of_32(meaning);
    builder_.tensor(name + ".weight", type_, {cols, rows}, data);
  }

  // 32 values as stored, and what they stand for.
  std::string block_of_32(std::vector<float>& meaning) {
    std::string data;
    const uint16_t d = narrow_fp16(number());
    const uint16_t m = narrow_fp16(number());
    if (type_ == GgufBuilder::kQ8_0 || type_ == GgufBuilder::kQ4_0 || type_ == GgufBuilder::kQ4_1) data += bytes_of(d);
    if (type_ == GgufBuilder::kQ4_1) data += bytes_of(m);
    std::array<uint8_t, 32> q{};
    for (uint32_t i = 0; i < 32; ++i) {
      q[i] = static_cast<uint8_t>(random_());
      const float value = number();
      switch (type_) {
        case GgufBuilder::kF32:
          meaning.push_back(value);
          data += bytes_of(value);
          break;
        case GgufBuilder::kF16:
          meaning.push_back(widen_fp16(narrow_fp16(value)));
          data += bytes_of(narrow_fp16(value));
          break;
        case GgufBuilder::kBf16: {
          const auto bits = static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16);
          meaning.push_back(widen_bf16(bits));
          data += bytes_of(bits);
          break;
        }
        case GgufBuilder::kQ4_0:
          meaning.push_back(widen_fp16(d) * static_cast<float>((q[i] & 15) - 8));
          break;
        case GgufBuilder::kQ8_0:
          meaning.push_back(widen_fp16(d) * static_cast<float>(static_cast<int8_t>(q[i])));
          data += static_cast<char>(q[i]);
          break;
        default: meaning.push_back(std::fma(widen_fp16(d), static_cast<float>(q[i] & 15), widen_fp16(m)));
      }
    }
    const bool nibbles = type_ == GgufBuilder::kQ4_0 || type_ == GgufBuilder::kQ4_1;
    for (uint32_t i = 0; nibbles && i < 16; ++i)
      data += static_cast<char>((q[i] & 15) | (q[i + 16] & 15) << 4);
    return data;
  }

  const uint32_t type_;
  std::mt19937 random_;
  GgufBuilder builder_;
  std::map<std::string, std::vector<float>> meaning_;
};

// llama.cpp's converter writes row (half, pair) of a head at 2 * pair + half.
void expect_gguf_matrix(const RandomGguf& file, const std::string& name, const PackedMatrix& matrix,
                        bool rotary = false) {
  const std::vector<float>& meaning = file.meaning(name);
  std::vector<float> row(matrix.cols);
  for (uint32_t r = 0; r < matrix.rows; ++r) {
    uint32_t stored = r;
    if (rotary) {
      constexpr uint32_t kHalf = RandomGguf::kHeadDim / 2;
      const uint32_t head = r / RandomGguf::kHeadDim, half = r / kHalf % 2, pair = r % kHalf;
      stored = head * RandomGguf::kHeadDim + 2 * pair + half;
    }
    unpack_row(matrix, r, row.data());
    for (uint32_t c = 0; c < matrix.cols; ++c)
      ASSERT_EQ(row[c], meaning[stored * matrix.cols + c]) << name << " row " << r << " col " << c;
  }
}

TEST(WeightsGguf, every_type_means_what_its_blocks_say_and_rotary_rows_are_halves_again) {
  for (const uint32_t type : {GgufBuilder::kF32, GgufBuilder::kF16, GgufBuilder::kBf16, GgufBuilder::kQ8_0,
                              GgufBuilder::kQ4_0, GgufBuilder::kQ4_1}) {
    SCOPED_TRACE(type);
    const RandomGguf file(type);
    const TempFolder folder;
    write_file(folder.path("x.gguf"), file.bytes());
    const auto checkpoint = open_checkpoint(folder.path("x.gguf"));
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
    const auto weights = load(*checkpoint);
    ASSERT_TRUE(weights.ok()) << weights.error().message;
    expect_gguf_matrix(file, "token_embd", weights->embedding);
    for (uint32_t i = 0; i < RandomGguf::kLayers; ++i) {
      const std::string path = "blk." + std::to_string(i) + ".";
      const LayerWeights& layer = weights->layers[i];
      expect_gguf_matrix(file, path + "attn_q", layer.q, true);
      expect_gguf_matrix(file, path + "attn_k", layer.k, true);
      expect_gguf_matrix(file, path + "attn_v", layer.v);
      expect_gguf_matrix(file, path + "attn_output", layer.o);
      expect_gguf_matrix(file, path + "ffn_gate", layer.mlp.gate);
      expect_gguf_matrix(file, path + "ffn_up", layer.mlp.up);
      expect_gguf_matrix(file, path + "ffn_down", layer.mlp.down);
      for (uint32_t c = 0; c < RandomGguf::kHidden; ++c)
        ASSERT_EQ(layer.mlp_norm[c], file.meaning(path + "ffn_norm")[c]);
    }
  }
}

// ---------------------------------------------------------------- no

// A good folder with one thing changed in its safetensors header or bytes.
class ChangedFolder {
 public:
  explicit ChangedFolder(const std::string& oracle) {
    std::filesystem::copy(kData + "/oracle/" + oracle, folder_.path(), std::filesystem::copy_options::recursive);
    std::filesystem::remove(folder_.path("model.safetensors.index.json"));
    const std::string file = read_file(folder_.path("model.safetensors"));
    uint64_t header_bytes = 0;
    std::memcpy(&header_bytes, file.data(), 8);
    header = nlohmann::json::parse(file.substr(8, header_bytes));
    data = file.substr(8 + header_bytes);
  }

  // The message of the refusal; "" when there is none.
  std::string load_error() const {
    write_file(folder_.path("model.safetensors"), safetensors_bytes(header.dump(), data));
    const auto checkpoint = open_checkpoint(folder_.path());
    if (!checkpoint.ok()) return checkpoint.error().message;
    const auto weights = load(*checkpoint);
    return weights.ok() ? "" : weights.error().message;
  }
  void config(const std::string& key, nlohmann::json value) {
    auto config = nlohmann::json::parse(read_file(folder_.path("config.json")));
    config[key] = std::move(value);
    write_file(folder_.path("config.json"), config.dump());
  }
  // Overwrites the value at `index` of a tensor of 16-bit numbers.
  void put16(const std::string& tensor, size_t index, uint16_t value) {
    const size_t begin = header[tensor]["data_offsets"][0].get<size_t>();
    std::memcpy(data.data() + begin + index * 2, &value, 2);
  }
  // A further tensor of two zero bytes each, after all others.
  void add(const std::string& name) {
    header[name] = {{"dtype", "BF16"}, {"shape", {1}}, {"data_offsets", {data.size(), data.size() + 2}}};
    data += std::string(2, '\0');
  }

  nlohmann::json header;
  std::string data;

 private:
  TempFolder folder_;
};

void expect_fragments(const std::string& message, const std::vector<std::string>& fragments) {
  EXPECT_NE(message, "") << "was not refused";
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  for (const std::string& fragment : fragments)
    EXPECT_NE(message.find(fragment), std::string::npos) << message << "\nlacks: " << fragment;
}

const std::string kQ = "model.layers.1.self_attn.q_proj";

TEST(Weights, shapes_that_do_not_fit_the_config_are_refused_with_the_numbers) {
  ChangedFolder down("qwen3-fp16");
  down.header["model.layers.0.mlp.down_proj.weight"]["shape"] = {256, 128};
  expect_fragments(
      down.load_error(),
      {"model.safetensors: tensor 'model.layers.0.mlp.down_proj.weight' has shape [256, 128], expected [128, 256]",
       "(hidden_size 128, intermediate_size 256). Is config.json from another model?"});
  ChangedFolder heads("qwen3-fp16");
  heads.config("num_attention_heads", 4);
  expect_fragments(heads.load_error(), {"self_attn.q_proj.weight' has shape [256, 128], expected [128, 128] "
                                        "(num_attention_heads 4 x head_dim 32, hidden_size 128)"});
  ChangedFolder norm("qwen3-fp16");
  norm.header["model.norm.weight"]["shape"] = {64, 2};
  expect_fragments(norm.load_error(), {"'model.norm.weight' has shape [64, 2], expected [128] (hidden_size 128)"});
  ChangedFolder vocab("qwen3-fp16");
  vocab.config("vocab_size", 319);
  expect_fragments(vocab.load_error(),
                   {"'model.embed_tokens.weight' has shape [320, 128], expected [319, 128] (vocab_size 319"});
}

TEST(Weights, a_tensor_that_is_missing_or_too_many_is_named) {
  ChangedFolder missing("qwen3-fp16");
  missing.header.erase("model.layers.1.input_layernorm.weight");
  expect_fragments(missing.load_error(),
                   {"tensor 'model.layers.1.input_layernorm.weight' is missing, expected by config.json"});
  ChangedFolder untied("qwen3-fp16");
  untied.config("tie_word_embeddings", false);
  expect_fragments(untied.load_error(), {"'lm_head.weight' is missing", "tie_word_embeddings not true"});
  ChangedFolder longer("qwen3-fp16");
  longer.config("num_hidden_layers", 1000);
  expect_fragments(longer.load_error(),
                   {"'model.layers.999.input_layernorm.weight' is missing", "num_hidden_layers 1000"});
  ChangedFolder shorter("qwen3-fp16");
  shorter.config("num_hidden_layers", 1);
  expect_fragments(shorter.load_error(), {"'model.layers.1.", "no part of a qwen3 model with 1 layers"});
  ChangedFolder bias("qwen3-fp16");
  bias.add(kQ + ".bias");
  expect_fragments(bias.load_error(), {"'model.layers.1.self_attn.q_proj.bias' is no part of"});
  ChangedFolder harmless("qwen3-fp16");
  harmless.add("model.layers.0.self_attn.rotary_emb.inv_freq");
  harmless.add("lm_head.weight");
  EXPECT_EQ(harmless.load_error(), "") << "left out on purpose";
}

TEST(Weights, types_that_cannot_be_weights_are_refused) {
  ChangedFolder integer("qwen3-fp16");
  auto& entry = integer.header[kQ + ".weight"];
  entry["dtype"] = "I64";
  entry["shape"] = {256, 32};
  expect_fragments(integer.load_error(), {kQ + ".weight", "[256, 32], expected [256, 128]"});
  ChangedFolder same_shape("qwen3-mlx-4bit-g64");
  same_shape.header["model.norm.weight"]["dtype"] = "I64";
  same_shape.header["model.norm.weight"]["shape"] = {32};
  expect_fragments(same_shape.load_error(), {"'model.norm.weight'"});
  ChangedFolder packed("qwen3-mlx-4bit-g64");
  packed.header.erase(kQ + ".scales");
  packed.header.erase(kQ + ".biases");
  expect_fragments(packed.load_error(), {kQ + ".weight' has shape [256, 16], expected [256, 128]"});
}

TEST(Weights, quantised_tensors_must_be_whole_and_as_the_config_says) {
  const auto edit = [](auto change) {
    ChangedFolder folder("qwen3-mlx-4bit-g64");
    change(folder);
    return folder.load_error();
  };
  expect_fragments(edit([](auto& f) { f.header.erase(kQ + ".biases"); }),
                   {kQ + ".scales' has no", kQ + ".biases' beside it"});
  expect_fragments(edit([](auto& f) { f.header[kQ + ".scales"]["dtype"] = "F16"; }),
                   {kQ + ".biases' is BF16", "expected F16"});
  expect_fragments(edit([](auto& f) {
                     f.header[kQ + ".scales"]["dtype"] = "U8";
                     f.header[kQ + ".scales"]["shape"] = {256, 4};
                   }),
                   {kQ + ".scales' has type U8"});
  expect_fragments(edit([](auto& f) { f.header[kQ + ".weight"]["dtype"] = "I32"; }),
                   {kQ + ".weight' has type I32", "expected U32"});
  expect_fragments(edit([](auto& f) {
                     f.config("quantization", nullptr);
                     f.config("quantization_config", nullptr);
                   }),
                   {"is quantised, but config.json has no 'quantization'"});
  for (const auto& [bits, group] : {std::pair{8, 64}, {4, 32}, {4, 128}}) {
    const nlohmann::json block = {{"bits", bits}, {"group_size", group}};
    expect_fragments(edit([&](auto& f) {
                       f.config("quantization", block);
                       f.config("quantization_config", block);
                     }),
                     {"model.embed_tokens.weight' has shape [320, 16] and scales [320, 2]",
                      fmt::format("{} bits in groups of {}", bits, group)});
  }
  nlohmann::json own = {{"bits", 4}, {"group_size", 64}, {kQ, {{"bits", 8}, {"group_size", 64}}}};
  expect_fragments(edit([&](auto& f) {
                     f.config("quantization", own);
                     f.config("quantization_config", own);
                   }),
                   {kQ + ".weight' has shape", "8 bits"});
  own[kQ] = false;
  expect_fragments(edit([&](auto& f) {
                     f.config("quantization", own);
                     f.config("quantization_config", own);
                   }),
                   {"is quantised, but config.json says it is not"});
  own = {{"bits", 4}, {"group_size", 64}, {"model.norm", true}};
  EXPECT_EQ(edit([&](auto& f) {
              f.config("quantization", own);
              f.config("quantization_config", own);
            }),
            "");
}

TEST(Weights, numbers_that_are_not_finite_are_refused_with_their_row) {
  constexpr uint16_t kNanBf16 = 0x7fc0, kInfFp16 = 0xfc00;
  ChangedFolder scale("qwen3-mlx-4bit-g64");
  scale.put16(kQ + ".scales", 2 * 37 + 1, kNanBf16);
  expect_fragments(scale.load_error(),
                   {"model.safetensors: tensor '" + kQ + ".weight' has a scale or bias that is not finite in row 37"});
  ChangedFolder bias("qwen3-mlx-4bit-g64");
  bias.put16(kQ + ".biases", 0, kNanBf16);
  expect_fragments(bias.load_error(), {"not finite in row 0"});
  ChangedFolder value("qwen3-fp16");
  value.put16(kQ + ".weight", 128 * 255 + 127, kInfFp16);
  expect_fragments(value.load_error(), {kQ + ".weight' has a value that is not finite in row 255"});
  ChangedFolder norm("qwen3-fp16");
  norm.put16("model.layers.0.self_attn.k_norm.weight", 3, kInfFp16);
  expect_fragments(norm.load_error(), {"k_norm.weight' has a value that is not finite"});
}

// A checkpoint of 1.5 TB that takes no disk: the file is one hole behind its header.
TEST(Weights, what_cannot_fit_is_refused_before_it_is_read) {
  const TempFolder folder;
  nlohmann::json config = {{"model_type", "llama"},        {"num_hidden_layers", 1}, {"hidden_size", 131072},
                           {"intermediate_size", 1048576}, {"vocab_size", 64},       {"num_attention_heads", 1},
                           {"num_key_value_heads", 1},     {"head_dim", 64},         {"tie_word_embeddings", true}};
  write_file(folder.path("config.json"), config.dump());
  nlohmann::json header;
  uint64_t end = 0;
  const auto add = [&](const std::string& name, std::vector<uint64_t> shape) {
    uint64_t bytes = 4;
    for (const uint64_t size : shape) bytes *= size;
    header[name + ".weight"] = {{"dtype", "F32"}, {"shape", shape}, {"data_offsets", {end, end + bytes}}};
    end += bytes;
  };
  const std::string layer = "model.layers.0.";
  add("model.embed_tokens", {64, 131072});
  add("model.norm", {131072});
  add(layer + "input_layernorm", {131072});
  add(layer + "post_attention_layernorm", {131072});
  for (const char* name : {"q", "k", "v"}) add(layer + "self_attn." + name + "_proj", {64, 131072});
  add(layer + "self_attn.o_proj", {131072, 64});
  add(layer + "mlp.gate_proj", {1048576, 131072});
  add(layer + "mlp.up_proj", {1048576, 131072});
  add(layer + "mlp.down_proj", {131072, 1048576});
  const std::string front = safetensors_bytes(header.dump(), "");
  write_file(folder.path("model.safetensors"), front);
  std::error_code error;
  std::filesystem::resize_file(folder.path("model.safetensors"), front.size() + end, error);
  if (error) GTEST_SKIP() << "SKIPPED: no file of 1.5 TB can be made here: " << error.message();
  const auto checkpoint = open_checkpoint(folder.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  const uint64_t before = peak_resident_bytes();
  const auto weights = load(*checkpoint);
  ASSERT_FALSE(weights.ok());
  expect_fragments(weights.error().message, {"the weights take 15", "MB of memory, but only"});
  EXPECT_LT(peak_resident_bytes() - before, (uint64_t{16} << 20) + sanitizer_bytes());
}

}  // namespace
}  // namespace slipstream
