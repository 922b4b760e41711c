// Wrong as files: cut off, not what their names say, pointing at each other or out of the folder, or larger than they
// have a right to be.
#include <sys/stat.h>

#include "base/check.h"
#include "hostile/hostile_edits.h"

namespace slipstream {
namespace {

void link(const std::string& from, const std::string& to) {
  std::filesystem::remove(from);
  std::filesystem::create_symlink(to, from);
}

void index_of(const std::string& folder, const char* weight_map) {
  write_file(folder + "/model.safetensors.index.json",
             std::string(R"({"metadata":{},"weight_map":)") + weight_map + "}");
}

// {"name": "value"} with a shard's name in JSON's spelling.
void index_with(const std::string& folder, const std::string& shard) {
  index_of(folder, (R"({"model.norm.weight":")" + shard + "\"}").c_str());
}

// A file that is mostly a hole: `front`, then zeros.
void write_sparse(const std::string& path, const std::string& front, uint64_t size) {
  write_file(path, front);
  std::filesystem::resize_file(path, size);
}

std::string shard_path(const std::string& folder, int number) {
  return folder + "/model-0000" + std::to_string(number) + "-of-00003.safetensors";
}

// A fourth shard with a tensor of the first, and an index that names both.
void put_in_two_shards(const std::string& folder) {
  edit_json(folder + "/model.safetensors.index.json", [&](Json& json) {
    json["weight_map"]["another"] = "model-00004-of-00003.safetensors";
    const std::string file = read_file(shard_path(folder, 1));
    uint64_t header_bytes = 0;
    std::memcpy(&header_bytes, file.data(), sizeof header_bytes);
    const Json header = Json::parse(file.substr(8, header_bytes));
    std::string name;
    for (const auto& [key, value] : header.items()) {
      if (key != "__metadata__") name = key;
    }
    const Json fourth = {{name, {{"dtype", "F32"}, {"shape", {1}}, {"data_offsets", {0, 4}}}},
                         {"another", {{"dtype", "F32"}, {"shape", {1}}, {"data_offsets", {4, 8}}}}};
    write_file(folder + "/model-00004-of-00003.safetensors", safetensors_bytes(fourth.dump(), std::string(8, '\0')));
  });
}

void exchange_shards(const std::string& folder) {
  std::filesystem::rename(shard_path(folder, 1), folder + "/x");
  std::filesystem::rename(shard_path(folder, 2), shard_path(folder, 1));
  std::filesystem::rename(folder + "/x", shard_path(folder, 2));
}

void make_pipe(const std::string& path) {
  std::filesystem::remove(path);
  CHECK(mkfifo(path.c_str(), 0600) == 0, "{}", path);
}

Kinds cut_files() {
  return {
      {"cut-in-length", kPlain, [](auto& f) { cut(weights_path(f), 5); }, {"model.safetensors: has 5 bytes"}},
      {"cut-in-header", kPlain, [](auto& f) { cut(weights_path(f), 300); }, {"only 292 follow; is it cut off?"}},
      {"cut-last-byte",
       kPlain,
       [](auto& f) { cut(weights_path(f), std::filesystem::file_size(weights_path(f)) - 1); },
       {"end beyond the file's", "is it cut off?"}},
      {"cut-shard", kSharded, [](auto& f) { cut(shard_path(f, 3), 1000); }, {"model-00003-of-00003.safetensors"}},
      {"cut-index",
       kSharded,
       [](auto& f) { cut(f + "/model.safetensors.index.json", 200); },
       {"model.safetensors.index.json: is not JSON"}},
      {"cut-generation-config",
       kPlain,
       [](auto& f) { cut(f + "/generation_config.json", 20); },
       {"generation_config.json: is not JSON"}},
      {"cut-tokenizer-config",
       kPlain,
       [](auto& f) { cut(f + "/tokenizer_config.json", 100); },
       {"tokenizer_config.json: not JSON"},
       true},
      {"header-3gb",
       kPlain,
       [](auto& f) { replace_front(f, bytes_of<uint64_t>(3000000000)); },
       {"says its header has 3000000000 bytes, expected at most 100000000"}},
      {"header-3gb-there",  // with less address space than that it cannot even be mapped
       kPlain,
       [](auto& f) { write_sparse(weights_path(f), bytes_of<uint64_t>(3000000000), 3000001000); },
       {"model.safetensors"}},
      {"header-of-zeros",
       kPlain,
       [](auto& f) { write_sparse(weights_path(f), bytes_of<uint64_t>(99000000), 99001000); },
       {"header: is not JSON"}},
      {"config-huge",
       kPlain,
       [](auto& f) { write_sparse(f + "/config.json", "{", uint64_t{3} << 30); },
       {"config.json' has 3221225472 bytes, more than the"}},
      {"index-huge",
       kPlain,
       [](auto& f) { write_sparse(f + "/model.safetensors.index.json", "{", uint64_t{3} << 30); },
       {"model.safetensors.index.json' has 3221225472 bytes"}},
      {"tokenizer-huge",
       kPlain,
       [](auto& f) { write_sparse(f + "/tokenizer.json", "{", uint64_t{3} << 30); },
       {"tokenizer.json' has 3221225472 bytes"},
       true},
      {"config-empty", kPlain, [](auto& f) { cut(f + "/config.json", 0); }, {"config.json: is not JSON"}},
      {"config-list", kPlain, [](auto& f) { write_file(f + "/config.json", "[1]"); }, {"is not a JSON object"}},
  };
}

Kinds wrong_kinds_of_files() {
  return {
      {"config-pipe", kPlain, [](auto& f) { make_pipe(f + "/config.json"); }, {"is not a regular file"}},
      {"config-device", kPlain, [](auto& f) { link(f + "/config.json", "/dev/zero"); }, {"is not a regular file"}},
      {"weights-pipe", kPlain, [](auto& f) { make_pipe(weights_path(f)); }, {"is not a regular file"}},
      {"weights-device", kPlain, [](auto& f) { link(weights_path(f), "/dev/zero"); }, {"is not a regular file"}},
      {"weights-loop",
       kPlain,
       [](auto& f) { link(weights_path(f), "model.safetensors"); },
       {"model.safetensors' cannot be opened", "Too many levels of symbolic links"}},
      {"weights-are-json", kPlain, [](auto& f) { link(weights_path(f), "config.json"); }, {"says its header has"}},
      {"config-loop",
       kPlain,
       [](auto& f) {
         link(f + "/config.json", "other.json");
         link(f + "/other.json", "config.json");
       },
       {"config.json' cannot be opened: Too many levels of symbolic links"}},
      {"generation-config-dangling",
       kPlain,
       [](auto& f) { link(f + "/generation_config.json", "../blobs/0123"); },
       {"generation_config.json' cannot be opened: No such file"}},
      {"template-folder",
       kPlain,
       [](auto& f) { std::filesystem::create_directory(f + "/chat_template.jinja"); },
       {"chat_template.jinja' is not a regular file"},
       true},
  };
}

Kinds wrong_indices() {
  return {
      {"index-loop",
       kPlain,
       [](auto& f) { link(f + "/model.safetensors.index.json", "model.safetensors.index.json"); },
       {"model.safetensors.index.json' cannot be opened: Too many levels of symbolic links"}},
      {"index-names-itself",
       kPlain,
       [](auto& f) { index_with(f, "model.safetensors.index.json"); },
       {"weight_map names the file 'model.safetensors.index.json', expected a name.safetensors"}},
      {"index-link-to-itself",
       kPlain,
       [](auto& f) {
         link(f + "/a.safetensors", "model.safetensors.index.json");
         index_with(f, "a.safetensors");
       },
       {"a.safetensors: says its header has"}},
      {"index-shard-loop",
       kPlain,
       [](auto& f) {
         link(f + "/a.safetensors", "b.safetensors");
         link(f + "/b.safetensors", "a.safetensors");
         index_with(f, "a.safetensors");
       },
       {"a.safetensors' cannot be opened: Too many levels of symbolic links"}},
      {"index-absolute", kPlain, [](auto& f) { index_with(f, "/etc/passwd"); }, {"names the file '/etc/passwd'"}},
      {"index-absolute-named-so",
       kPlain,
       [](auto& f) { index_with(f, "/tmp/x.safetensors"); },
       {"names the file '/tmp/x.safetensors', expected a name.safetensors in the same folder"}},
      {"index-root", kPlain, [](auto& f) { index_with(f, "/"); }, {"names the file '/'"}},
      {"index-parent", kPlain, [](auto& f) { index_with(f, ".."); }, {"names the file '..'"}},
      {"index-folder", kPlain, [](auto& f) { index_with(f, "x/y.safetensors"); }, {"names the file 'x/y.safetensors'"}},
      {"index-zero-byte",
       kPlain,
       [](auto& f) { index_with(f, "model.safetensors\\u0000.safetensors"); },
       {R"(names the file 'model.safetensors\x00.safetensors')"}},
      {"index-nameless", kPlain, [](auto& f) { index_with(f, ""); }, {"names the file ''"}},
      {"index-numbers",
       kPlain,
       [](auto& f) { index_of(f, R"({"a":1})"); },
       {"weight_map is not an object of tensor: file name"}},
      {"index-list", kPlain, [](auto& f) { index_of(f, R"([["a","b"]])"); }, {"weight_map is not an object"}},
      {"index-empty", kPlain, [](auto& f) { index_of(f, "{}"); }, {"has no weight_map, or an empty one"}},
      {"tensor-in-two-shards",
       kSharded,
       put_in_two_shards,
       {"is in model-0000", "-of-00003.safetensors and again in model-0000"}},
      {"shard-twice",
       kSharded,
       [](auto& f) { link(shard_path(f, 2), "model-00001-of-00003.safetensors"); },
       {"is in model-00001-of-00003.safetensors and again in model-00002-of-00003.safetensors"}},
      {"shards-exchanged", kSharded, exchange_shards, {"is here, but model.safetensors.index.json says model-0000"}},
  };
}

}  // namespace

Kinds wrong_disks() {
  Kinds kinds = cut_files();
  for (const auto& part : {wrong_kinds_of_files(), wrong_indices()})
    kinds.insert(kinds.end(), part.begin(), part.end());
  return kinds;
}

}  // namespace slipstream
