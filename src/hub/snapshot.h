// One snapshot of the hub's cache, its files listed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace slipstream {

// A model in .gguf files: one, or several named X-00001-of-00003.gguf.
struct GgufModel {
  std::string name;                  // "X.gguf", inside the snapshot, without the numbers
  std::string file;                  // the one to open, inside the snapshot: the first
  std::vector<std::string> missing;  // parts that are not there
};

struct Snapshot {
  // Paths inside the snapshot, sorted, at most one folder deep. Names that no message could show are passed over.
  std::vector<std::string> files;
  std::vector<std::string> broken;  // links that lead nowhere

  bool has(std::string_view file) const;
  bool has_safetensors() const;  // model.safetensors, or a shard or the index of one in shards
  // What a model in safetensors lacks here: config.json, the index, shards. Empty when it is whole.
  std::vector<std::string> missing() const;
  // mmproj and imatrix files are no models.
  std::vector<GgufModel> gguf_models() const;
};

// Without control characters.
bool can_be_shown(std::string_view name);

// Error: the folder cannot be read, or has more files than any model.
Result<Snapshot> list_snapshot(const std::string& folder);

}  // namespace slipstream
