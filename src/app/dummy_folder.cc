#include "app/dummy_folder.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>

#include "app/byte_tokenizer.h"
#include "files/quoted.h"
#include "files/safetensors_writer.h"
#include "files/text_file.h"
#include "model/dummy_tensors.h"
#include "text/tokenizer.h"

namespace slipstream {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr uint64_t kMaxShardBytes = 5ull << 30;       // as mlx-lm: --max-shard-size 5 GB
constexpr uint64_t kPieceBytes = 4ull << 20;          // of a thread's buffer
constexpr uint64_t kSpareDiskBytes = 64ull << 20;     // for headers, index and tokenizer
constexpr uint64_t kMaxTokenizerBytes = 256ull << 20;
constexpr const char* kTokenizerFiles[] = {"tokenizer.json",          "tokenizer_config.json", "chat_template.jinja",
                                           "special_tokens_map.json", "added_tokens.json",     "vocab.json",
                                           "merges.txt"};

// -- JSON ----------------------------------------------------------------------------------------

// "quantization" and again "quantization_config", as mlx-lm writes them.
Json quantisation_block(const DummyShape& shape) {
  Json block = {{"group_size", shape.group_size}, {"bits", shape.bits}, {"mode", "affine"}};
  for (uint32_t layer = 0; shape.num_experts != 0 && layer < shape.num_hidden_layers; ++layer) {
    block[fmt::format("model.layers.{}.mlp.gate", layer)] = {{"group_size", shape.group_size},
                                                             {"bits", kDummyRouterBits}};
  }
  return block;
}

Json config_json(const DummyShape& shape, const ModelConfig& config) {
  Json json = {{"architectures", {shape.architecture}},
               {"model_type", shape.model_type},
               {"hidden_act", "silu"},
               {"hidden_size", shape.hidden_size},
               {"intermediate_size", shape.intermediate_size},
               {"num_hidden_layers", shape.num_hidden_layers},
               {"num_attention_heads", shape.num_attention_heads},
               {"num_key_value_heads", shape.num_key_value_heads},
               {"head_dim", shape.head_dim},
               {"vocab_size", shape.vocab_size},
               {"max_position_embeddings", shape.max_position_embeddings},
               {"rms_norm_eps", shape.rms_norm_eps},
               {"rope_theta", shape.rope_theta},
               {"rope_scaling", nullptr},
               {"tie_word_embeddings", shape.tie_word_embeddings},
               {"bos_token_id", config.bos_token},
               {"eos_token_id", config.eos_tokens},
               {"torch_dtype", "bfloat16"}};
  if (shape.rope_factor != 1) {
    json["rope_scaling"] = {{"rope_type", "llama3"},
                            {"factor", shape.rope_factor},
                            {"low_freq_factor", config.rope_scaling.low_freq_factor},
                            {"high_freq_factor", config.rope_scaling.high_freq_factor},
                            {"original_max_position_embeddings", config.rope_scaling.original_max_position_embeddings}};
  }
  if (shape.num_experts != 0) {
    json.update({{"num_experts", shape.num_experts},
                 {"num_experts_per_tok", shape.num_experts_per_tok},
                 {"moe_intermediate_size", shape.moe_intermediate_size},
                 {"norm_topk_prob", true},
                 {"decoder_sparse_step", 1},
                 {"mlp_only_layers", Json::array()}});
  }
  json["quantization"] = json["quantization_config"] = quantisation_block(shape);
  return json;
}

// -- shards --------------------------------------------------------------------------------------

// Entries [begin, end) of the tensors.
struct Shard {
  std::string file;
  size_t begin = 0;
  size_t end = 0;
  uint64_t bytes = 0;
};

std::vector<Shard> cut_into_shards(const DummyTensors& tensors) {
  std::vector<Shard> shards(1);
  for (const DummyTensors::Entry& entry : tensors.entries()) {
    if (shards.back().bytes > 0 && shards.back().bytes + entry.num_bytes > kMaxShardBytes)
      shards.push_back({"", shards.back().end, shards.back().end, 0});
    ++shards.back().end;
    shards.back().bytes += entry.num_bytes;
  }
  for (size_t i = 0; i < shards.size(); ++i) {
    shards[i].file = shards.size() == 1 ? "model.safetensors"
                                        : fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size());
  }
  return shards;
}

Json index_json(const DummyTensors& tensors, const std::vector<Shard>& shards) {
  std::vector<std::pair<std::string, std::string>> files;
  for (const Shard& shard : shards) {
    for (size_t i = shard.begin; i < shard.end; ++i) files.emplace_back(tensors.entries()[i].name, shard.file);
  }
  std::sort(files.begin(), files.end());
  Json map = Json::object();
  auto& pairs = map.get_ref<Json::object_t&>();
  for (auto& [tensor, file] : files) pairs.emplace_back(std::move(tensor), std::move(file));
  return {{"metadata", {{"total_size", tensors.total_bytes()}}}, {"weight_map", std::move(map)}};
}

// -- writing -------------------------------------------------------------------------------------

class FolderWriter {
 public:
  FolderWriter(const DummyFolderOptions& options, ThreadPool& pool, const LoadProgress& progress)
      : options_(options), folder_(options.folder), pool_(pool), progress_(progress),
        tensors_(options.dummy.shape, options.dummy.seed) {}

  Status write() {
    RETURN_IF_ERROR(check_tokenizer());
    RETURN_IF_ERROR(make_folder());
    Status status = write_files();
    if (!status.ok()) remove_all();
    return status;
  }

 private:
  // The folder's vocabulary must fit the model's.
  Status check_tokenizer() const {
    if (options_.tokenizer_folder.empty()) return ok_status();
    const std::string path = options_.tokenizer_folder + "/tokenizer.json";
    ASSIGN_OR_RETURN(const std::string json, read_text_file(path, kMaxTokenizerBytes));
    auto tokenizer = Tokenizer::from_json(json);
    if (!tokenizer.ok()) return std::move(tokenizer.error()).within(path);
    if (tokenizer->vocab_size() <= options_.dummy.shape.vocab_size) return ok_status();
    return invalid("{}: the tokenizer has {} tokens, {} only {} (vocab_size)", path, tokenizer->vocab_size(),
                   options_.dummy.shape.name, options_.dummy.shape.vocab_size);
  }

  Status make_folder() {
    std::error_code fault;
    if (fs::exists(folder_, fault)) {
      if (!fs::is_directory(folder_, fault)) return invalid("{} is there and no folder", in_quotes(options_.folder));
      if (!fs::is_empty(folder_, fault)) return invalid("{} is not empty", in_quotes(options_.folder));
    } else {
      made_folder_ = fs::create_directories(folder_, fault);
    }
    if (fault) return outside("{} cannot be made: {}", in_quotes(options_.folder), fault.message());
    const uint64_t needed = tensors_.total_bytes() + kSpareDiskBytes;
    const fs::space_info space = fs::space(folder_, fault);
    if (!fault && space.available >= needed) return ok_status();
    remove_all();
    if (fault) return outside("{}: free space cannot be asked: {}", in_quotes(options_.folder), fault.message());
    return outside("{}: {} takes {} MB of disk, but only {} MB are free", in_quotes(options_.folder),
                   options_.dummy.shape.name, needed / 1'000'000, space.available / 1'000'000);
  }

  Status write_files() {
    const std::vector<Shard> shards = cut_into_shards(tensors_);
    for (const Shard& shard : shards) RETURN_IF_ERROR(write_shard(shard));
    RETURN_IF_ERROR(write_text("model.safetensors.index.json", index_json(tensors_, shards).dump(2)));
    RETURN_IF_ERROR(write_tokenizer());
    const DummyShape& shape = options_.dummy.shape;
    std::vector<TokenId> eos{kDummyEosToken};
    if (!options_.tokenizer_folder.empty()) {
      eos.clear();
      for (const TokenId token : shape.eos_token_id) {
        if (token != 0) eos.push_back(token);
      }
    }
    const TokenId bos = options_.tokenizer_folder.empty() ? kDummyBosToken : shape.bos_token_id;
    const Json config = config_json(shape, dummy_config(shape, bos, eos));
    RETURN_IF_ERROR(write_text("generation_config.json", Json{{"bos_token_id", bos}, {"eos_token_id", eos}}.dump(2)));
    return write_text("config.json", config.dump(2));
  }

  Status write_shard(const Shard& shard) {
    std::vector<SafetensorsWriter::Entry> entries;
    std::vector<Piece> pieces;
    for (size_t i = shard.begin; i < shard.end; ++i) {
      const DummyTensors::Entry& entry = tensors_.entries()[i];
      entries.push_back({entry.name, entry.dtype, entry.shape});
      for (uint64_t offset = 0; offset < entry.num_bytes; offset += kPieceBytes)
        pieces.push_back({i, offset, std::min(kPieceBytes, entry.num_bytes - offset)});
    }
    const std::string path = (folder_ / shard.file).string();
    written_.push_back(path);
    ASSIGN_OR_RETURN(SafetensorsWriter writer, SafetensorsWriter::create(path, entries, R"({"format":"mlx"})"));
    RETURN_IF_ERROR(write_pieces(shard, pieces, writer));
    return writer.close();
  }

  struct Piece {
    size_t entry = 0;  // of the tensors
    uint64_t offset = 0;
    uint64_t bytes = 0;
  };

  // Each thread takes the next piece; the first error ends it for all.
  Status write_pieces(const Shard& shard, const std::vector<Piece>& pieces, SafetensorsWriter& writer) {
    std::atomic<size_t> next{0};
    std::atomic<uint64_t> shard_done{0};
    std::mutex mutex;
    std::optional<Error> first_error;  // guarded by the mutex
    pool_.run([&](uint32_t thread) {
      std::vector<std::byte> buffer(kPieceBytes);
      for (size_t i = next++; i < pieces.size(); i = next++) {
        const Piece& piece = pieces[i];
        const std::span<std::byte> bytes = std::span(buffer).first(piece.bytes);
        tensors_.make(tensors_.entries()[piece.entry], piece.offset, bytes);
        if (Status status = writer.write(piece.entry - shard.begin, piece.offset, bytes); !status.ok()) {
          const std::lock_guard lock(mutex);
          if (!first_error) first_error = std::move(status).error();
          next = pieces.size();
          return;
        }
        const uint64_t done = done_ + (shard_done += piece.bytes);
        if (thread == 0 && progress_) progress_(done, tensors_.total_bytes());
      }
    });
    if (first_error) return std::move(*first_error);
    done_ += shard.bytes;
    if (progress_) progress_(done_, tensors_.total_bytes());
    return ok_status();
  }

  Status write_tokenizer() {
    if (options_.tokenizer_folder.empty()) {
      RETURN_IF_ERROR(write_text("tokenizer.json", byte_tokenizer_json(options_.dummy.shape.vocab_size)));
      RETURN_IF_ERROR(write_text("tokenizer_config.json", byte_tokenizer_config_json()));
      return write_text("chat_template.jinja", byte_chat_template());
    }
    for (const char* name : kTokenizerFiles) {
      const fs::path from = fs::path(options_.tokenizer_folder) / name;
      std::error_code fault;
      if (!fs::exists(from, fault)) continue;
      written_.push_back((folder_ / name).string());
      if (!fs::copy_file(from, folder_ / name, fault))
        return outside("{} cannot be copied: {}", in_quotes(from.string()), fault.message());
    }
    return ok_status();
  }

  Status write_text(const std::string& name, const std::string& text) {
    const std::string path = (folder_ / name).string();
    written_.push_back(path);
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.write(text.data(), static_cast<std::streamsize>(text.size()));
    file.close();
    if (!file.good()) return outside("{}: cannot be written: {}", in_quotes(path), std::strerror(errno));
    return ok_status();
  }

  void remove_all() {
    std::error_code ignored;
    for (const std::string& path : written_) fs::remove(path, ignored);
    if (made_folder_) fs::remove(folder_, ignored);
  }

  const DummyFolderOptions& options_;
  const fs::path folder_;
  ThreadPool& pool_;
  const LoadProgress& progress_;
  const DummyTensors tensors_;
  std::vector<std::string> written_;  // or begun
  bool made_folder_ = false;
  uint64_t done_ = 0;  // bytes of whole shards
};

}  // namespace

Status write_dummy_folder(const DummyFolderOptions& options, ThreadPool& pool, const LoadProgress& progress) {
  return FolderWriter(options, pool, progress).write();
}

}  // namespace slipstream
