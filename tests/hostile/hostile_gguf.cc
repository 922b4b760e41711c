// Wrong GGUF files: cut off, of another architecture, numbers that do not go together, parts that are not there.
#include "base/check.h"
#include "hostile/hostile_edits.h"

namespace slipstream {
namespace {

constexpr char kGguf[] = "llama-gguf";

constexpr char kParts[] = "qwen3-moe-gguf-split";  // in two files

std::string gguf_path(const std::string& folder) {
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with("-00001-of-00002.gguf") || name == "model.gguf") return entry.path().string();
  }
  CHECK(false, "no GGUF in {}", folder);
}

std::string second_part(const std::string& folder) {
  std::string path = gguf_path(folder);
  return path.replace(path.find("00001"), 5, "00002");
}

// Writes `bytes` over what stands `behind` bytes after the first place of `text`.
void patch(const std::string& path, const std::string& text, size_t behind, const std::string& bytes) {
  std::string file = read_file(path);
  const size_t at = file.find(text);
  CHECK(at != std::string::npos, "{} has no {}", path, text);
  file.replace(at + text.size() + behind, bytes.size(), bytes);
  write_file(path, file);
}

// The value of a metadata key: the key, its type (u32), the value.
template <class T>
void set_value(const std::string& folder, const std::string& key, T value) {
  patch(gguf_path(folder), key, 4, bytes_of(value));
}

// A tensor's description: name, number of dimensions (u32), each (u64), type (u32), offset (u64).
void set_dimension(const std::string& folder, const std::string& tensor, uint64_t value) {
  patch(gguf_path(folder), tensor, 4, bytes_of(value));
}

HostileKind kind(const char* name, const char* base, void (*spoil)(const std::string&),
                 std::vector<std::string> fragments) {
  HostileKind kind{name, base, spoil, std::move(fragments)};
  kind.file = base == std::string(kParts) ? "model-00001-of-00002.gguf" : "model.gguf";
  return kind;
}

Kinds wrong_metadata() {
  return {
      kind("gguf-cut-in-front", kGguf, [](auto& f) { cut(gguf_path(f), 2000); }, {"model.gguf: "}),
      kind("gguf-cut-in-data", kGguf, [](auto& f) { cut(gguf_path(f), 300000); }, {"is it cut off?"}),
      kind("gguf-version", kGguf, [](auto& f) { patch(gguf_path(f), "GGUF", 0, bytes_of<uint32_t>(2)); },
           {"is GGUF version 2, expected 3"}),
      kind("gguf-many-tensors", kGguf, [](auto& f) { patch(gguf_path(f), "GGUF", 4, bytes_of<uint64_t>(1ull << 60)); },
           {"says it has 1152921504606846976 tensors"}),
      kind("gguf-many-keys", kGguf, [](auto& f) { patch(gguf_path(f), "GGUF", 12, bytes_of<uint64_t>(1ull << 60)); },
           {"says it has 1152921504606846976 metadata keys"}),
      kind("gguf-long-string", kGguf, [](auto& f) { set_value<uint64_t>(f, "general.architecture", 3000000000); },
           {"'general.architecture'", "3000000000 bytes"}),
      kind("gguf-long-list", kGguf,
           [](auto& f) { patch(gguf_path(f), "tokenizer.ggml.tokens", 8, bytes_of<uint64_t>(1ull << 40)); },
           {"'tokenizer.ggml.tokens'", "array of 1099511627776 values"}),
      kind("gguf-architecture", kGguf, [](auto& f) { patch(gguf_path(f), "general.architecture", 12, "mamba"); },
           {"general.architecture 'mamba' is not read yet"}),
      kind("gguf-no-layers", kGguf, [](auto& f) { set_value<uint32_t>(f, "llama.block_count", 0); },
           {"llama.block_count is 0, expected 1"}),
      kind("gguf-more-layers", kGguf, [](auto& f) { set_value<uint32_t>(f, "llama.block_count", 3); },
           {"'blk.2.attn_norm.weight' is missing"}),
      kind("gguf-fewer-layers", kGguf, [](auto& f) { set_value<uint32_t>(f, "llama.block_count", 1); },
           {"'blk.1.", "is no part of a llama model with 1 layers"}),
      kind("gguf-no-heads", kGguf, [](auto& f) { set_value<uint32_t>(f, "llama.attention.head_count", 0); },
           {"llama.attention.head_count is 0"}),
      kind("gguf-heads-odd", kGguf, [](auto& f) { set_value<uint32_t>(f, "llama.attention.head_count_kv", 4); },
           {"6 query heads over 4 KV heads"}),
      kind("gguf-rope-length", kGguf, [](auto& f) { set_value<uint32_t>(f, "llama.rope.dimension_count", 0); },
           {"llama.rope.dimension_count is 0"}),
      kind("gguf-theta-nan", kGguf, [](auto& f) { set_value<uint32_t>(f, "llama.rope.freq_base", 0x7fc00000); },
           {"llama.rope.freq_base is nan"}),
      kind("gguf-eos-beyond", kGguf, [](auto& f) { set_value<uint32_t>(f, "tokenizer.ggml.eos_token_id", 331); },
           {"tokenizer.ggml.eos_token_id is 331"}),
  };
}

Kinds wrong_descriptions() {
  return {
      kind("gguf-type", kGguf, [](auto& f) { patch(gguf_path(f), "token_embd.weight", 20, bytes_of<uint32_t>(14)); },
           {"'token_embd.weight' has type Q6_K, which is not read yet"}),
      kind("gguf-type-unknown", kGguf,
           [](auto& f) { patch(gguf_path(f), "token_embd.weight", 20, bytes_of<uint32_t>(4711)); },
           {"'token_embd.weight' has type number 4711"}),
      kind("gguf-embedding-short", kGguf,
           [](auto& f) { patch(gguf_path(f), "token_embd.weight", 12, bytes_of<uint64_t>(319)); },
           {"'token_embd.weight' has shape [319, 192], expected [331, 192]"}),
      kind("gguf-shape-overflow", kGguf, [](auto& f) { set_dimension(f, "token_embd.weight", 1ull << 62); },
           {"'token_embd.weight'", "more than 2^63 bytes"}),
      kind("gguf-row-no-block", kGguf, [](auto& f) { set_dimension(f, "token_embd.weight", 127); },
           {"'token_embd.weight'", "whole blocks of 32 values"}),
      kind("gguf-offset", kGguf,
           [](auto& f) { patch(gguf_path(f), "token_embd.weight", 24, bytes_of<uint64_t>(1ull << 40)); },
           {"'token_embd.weight'", "end beyond the file's"}),
      kind("gguf-overlap", kGguf, [](auto& f) { patch(gguf_path(f), "token_embd.weight", 24, bytes_of<uint64_t>(32)); },
           {"share bytes"}),
      kind("gguf-scale-nan", kGguf,
           [](auto& f) {
             std::string file = read_file(gguf_path(f));
             const auto data = file.size() / 2;
             for (size_t i = data; i < data + 40; ++i) file[i] = '\x7f';  // a whole block and more
             write_file(gguf_path(f), file);
           },
           {"that is not finite"}),
      kind("gguf-frequencies-short", kGguf, [](auto& f) { set_dimension(f, "rope_freqs.weight", 8); },
           {"'rope_freqs.weight'", "[8]"}),
  };
}

Kinds wrong_parts() {
  return {
      kind("gguf-part-missing", kParts, [](auto& f) { std::filesystem::remove(second_part(f)); },
           {"-00002-of-00002.gguf' cannot be opened"}),
      kind("gguf-part-loop", kParts,
           [](auto& f) {
             const std::string part = second_part(f);
             std::filesystem::remove(part);
             std::filesystem::create_symlink(std::filesystem::path(part).filename(), part);
           },
           {"Too many levels of symbolic links"}),
      kind("gguf-part-twice", kParts,
           [](auto& f) {
             std::filesystem::remove(second_part(f));
             std::filesystem::create_symlink(std::filesystem::path(gguf_path(f)).filename(), second_part(f));
           },
           {"-00002-of-00002.gguf: says it is part 1 of 2, expected part 2 of 2"}),
      kind("gguf-part-cut", kParts, [](auto& f) { cut(second_part(f), 5000); }, {"-00002-of-00002.gguf: "}),
      kind("gguf-parts-many", kParts, [](auto& f) { set_value<uint16_t>(f, "split.count", 65535); },
           {"split.count is 65535, expected at most"}),
      kind("gguf-parts-none", kParts, [](auto& f) { set_value<uint16_t>(f, "split.count", 0); }, {".gguf: "}),
      kind("gguf-part-beyond", kParts, [](auto& f) { set_value<uint16_t>(f, "split.no", 2); },
           {"split.no is 2, expected below split.count 2"}),
      kind("gguf-parts-fewer-tensors", kParts, [](auto& f) { set_value<uint32_t>(f, "split.tensors.count", 1); },
           {"split.tensors.count"}),
  };
}

}  // namespace

Kinds wrong_gguf() {
  Kinds kinds = wrong_metadata();
  for (const auto& part : {wrong_descriptions(), wrong_parts()}) kinds.insert(kinds.end(), part.begin(), part.end());
  return kinds;
}

}  // namespace slipstream
