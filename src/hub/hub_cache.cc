#include "hub/hub_cache.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>
#include <vector>

#include "hub/snapshot.h"

namespace slipstream {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxShown = 8;          // names in one message
constexpr size_t kMaxCommitLength = 64;  // SHA-1 has 40 digits, SHA-256 64
constexpr size_t kMaxNames = 10'000;     // of a folder

std::string from_home(const std::string& path, const std::string& home) {
  const bool tilde = path == "~" || path.starts_with("~/");
  return tilde ? home + path.substr(1) : path;
}

bool is_folder(const std::string& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

std::string get_command(const HubName& name) {
  return name.revision == "main" ? fmt::format("`hf download {}`", name.repository)
                                 : fmt::format("`hf download {} --revision {}`", name.repository, name.revision);
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kMaxShown); ++i) text += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > kMaxShown) text += fmt::format(" and {} more", names.size() - kMaxShown);
  return text;
}

// What a file of refs/ says, which becomes the name of a folder. Absent: there is no such file.
Result<std::optional<std::string>> read_ref(const std::string& path) {
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return std::optional<std::string>();
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxCommitLength + 2, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  const auto hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (text.empty() || text.size() > kMaxCommitLength || !std::all_of(text.begin(), text.end(), hex))
    return invalid("{} is not the name of a commit (up to {} hexadecimal digits)", path, kMaxCommitLength);
  return std::optional(std::move(text));
}

// The names in a folder, sorted; of one that is not there, none.
std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code fault;
  fs::directory_iterator entry(folder, fault);
  for (; !fault && entry != fs::directory_iterator() && names.size() < kMaxNames; entry.increment(fault)) {
    std::string name = entry->path().filename().string();
    if (can_be_shown(name)) names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

// A repository's folder in the cache, of a name that was checked.
class Repository {
 public:
  Repository(const std::string& cache_folder, const HubName& name) : cache_folder_(cache_folder), name_(name) {
    std::string flat = name.repository;
    flat.replace(flat.find('/'), 1, "--");
    folder_ = cache_folder + "/models--" + flat;
  }

  Result<std::string> find() const {
    if (!is_folder(folder_)) {
      return not_there("{} is not in the hub's cache ({}); {} gets it", name_.repository, cache_folder_,
                       get_command(name_));
    }
    ASSIGN_OR_RETURN(const std::string commit, find_commit());
    const std::string path = folder_ + "/snapshots/" + commit;
    if (!is_folder(path)) return not_complete({"its snapshot " + commit});
    ASSIGN_OR_RETURN(const Snapshot snapshot, list_snapshot(path));
    if (name_.file_part.empty() && snapshot.has_safetensors()) {
      if (const auto missing = missing_in(snapshot); !missing.empty()) return not_complete(missing);
      return path;
    }
    ASSIGN_OR_RETURN(const std::string file, pick_gguf(path, snapshot));
    return path + "/" + file;
  }

 private:
  template <class... Args>
  static Error not_there(fmt::format_string<Args...> text, Args&&... args) {
    return Error{ErrorKind::kNotFound, fmt::format(text, std::forward<Args>(args)...), {}, {}};
  }

  Error not_complete(const std::vector<std::string>& missing) const {
    return invalid("{}: its download into {} is not complete, it lacks {}; {} goes on with it", name_.repository,
                   cache_folder_, joined(missing), get_command(name_));
  }

  Result<std::string> find_commit() const {
    ASSIGN_OR_RETURN(const auto commit, read_ref(folder_ + "/refs/" + name_.revision));
    if (commit.has_value()) return *commit;
    // A commit itself.
    if (name_.revision.find('/') == std::string::npos && is_folder(folder_ + "/snapshots/" + name_.revision))
      return name_.revision;
    std::vector<std::string> there = names_in(folder_ + "/refs");
    if (there.empty()) there = names_in(folder_ + "/snapshots");
    return not_there("{} is in the hub's cache ({}), but its revision {} is not{}; {} gets it", name_.repository,
                     cache_folder_, name_.revision, there.empty() ? "" : fmt::format(" (there: {})", joined(there)),
                     get_command(name_));
  }

  // A download that is not complete may also lack what the weights do without.
  std::vector<std::string> missing_in(const Snapshot& snapshot) const {
    std::vector<std::string> missing = snapshot.missing();
    if (!snapshot.has("tokenizer.json") && is_downloading()) missing.emplace_back("tokenizer.json");
    return missing;
  }

  bool is_downloading() const {
    const auto blobs = names_in(folder_ + "/blobs");
    return std::any_of(blobs.begin(), blobs.end(), [](const auto& blob) { return blob.ends_with(".incomplete"); });
  }

  Result<std::string> pick_gguf(const std::string& path, const Snapshot& snapshot) const {
    const std::vector<GgufModel> models = snapshot.gguf_models();
    if (models.empty()) {
      if (!snapshot.broken.empty()) return not_complete(snapshot.broken);
      if (is_downloading()) return not_complete({"a file with weights"});
      return invalid("{}: its snapshot {} has {}", name_.repository, path,
                     name_.file_part.empty() ? "neither safetensors nor .gguf files" : "no .gguf file");
    }
    std::vector<std::string> names, picked_names;
    const GgufModel* picked = nullptr;
    for (const GgufModel& model : models) {
      names.push_back(model.name);
      if (model.name.find(name_.file_part) == std::string::npos) continue;
      picked_names.push_back(model.name);
      picked = &model;
    }
    if (picked == nullptr) {
      return invalid("{}: no .gguf file has {} in its name; there are {}", name_.repository, name_.file_part,
                     joined(names));
    }
    if (picked_names.size() > 1) {
      return invalid("{} has {} .gguf models: {}; give a part of one's name ({}:PART), or its path in {}",
                     name_.repository, picked_names.size(), joined(picked_names), name_.repository, path);
    }
    if (!picked->missing.empty()) return not_complete(picked->missing);
    return picked->file;
  }

  const std::string& cache_folder_;
  const HubName& name_;
  std::string folder_;
};

}  // namespace

std::string hub_cache_folder(const HubEnvironment& environment) {
  const auto in = [&](const std::string& folder, std::string_view below) {
    return from_home(folder, environment.home) + std::string(below);
  };
  if (!environment.hf_hub_cache.empty()) return in(environment.hf_hub_cache, "");
  if (!environment.huggingface_hub_cache.empty()) return in(environment.huggingface_hub_cache, "");
  if (!environment.hf_home.empty()) return in(environment.hf_home, "/hub");
  if (!environment.xdg_cache_home.empty()) return in(environment.xdg_cache_home, "/huggingface/hub");
  return environment.home.empty() ? "" : environment.home + "/.cache/huggingface/hub";
}

Result<std::string> find_in_hub_cache(const std::string& cache_folder, const HubName& name) {
  return Repository(cache_folder, name).find();
}

}  // namespace slipstream
