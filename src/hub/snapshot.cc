#include "hub/snapshot.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>
#include <string_view>

namespace slipstream {
namespace {

constexpr size_t kMaxFiles = 10'000;  // the largest models come in some hundred files
constexpr uint32_t kMaxParts = 1'000;

constexpr std::string_view kSingle = "model.safetensors";
constexpr std::string_view kIndex = "model.safetensors.index.json";

// "X-00002-of-00003.suffix": part 2 of 3 of X.
struct Part {
  std::string_view stem;
  uint32_t number = 0;
  uint32_t count = 0;
  std::string_view suffix;

  std::string file(uint32_t other) const { return fmt::format("{}-{:05}-of-{:05}{}", stem, other, count, suffix); }
};

std::optional<uint32_t> five_digits(std::string_view text) {
  uint32_t number = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.size() != 5 || fault != std::errc() || end != text.data() + 5) return std::nullopt;
  return number;
}

std::optional<Part> part_of(std::string_view file, std::string_view suffix) {
  constexpr size_t kNumbers = std::string_view("-00002-of-00003").size();
  if (!file.ends_with(suffix) || file.size() <= suffix.size() + kNumbers) return std::nullopt;
  const std::string_view numbers = file.substr(file.size() - suffix.size() - kNumbers, kNumbers);
  const auto number = five_digits(numbers.substr(1, 5));
  const auto count = five_digits(numbers.substr(10));
  if (numbers[0] != '-' || numbers.substr(6, 4) != "-of-" || !number || !count) return std::nullopt;
  if (*number < 1 || *number > *count || *count > kMaxParts) return std::nullopt;
  return Part{file.substr(0, file.size() - suffix.size() - kNumbers), *number, *count, suffix};
}

std::optional<Part> shard_of(std::string_view file) {
  const auto part = part_of(file, ".safetensors");
  return part && part->stem == "model" ? part : std::nullopt;
}

std::vector<std::string> missing_parts(const Snapshot& snapshot, const Part& part) {
  std::vector<std::string> missing;
  for (uint32_t number = 1; number <= part.count; ++number) {
    if (std::string file = part.file(number); !snapshot.has(file)) missing.push_back(std::move(file));
  }
  return missing;
}

}  // namespace

bool can_be_shown(std::string_view name) {
  return std::none_of(name.begin(), name.end(), [](char c) { return (c >= 0 && c < 0x20) || c == 0x7f; });
}

bool Snapshot::has(std::string_view file) const { return std::binary_search(files.begin(), files.end(), file); }

bool Snapshot::has_safetensors() const {
  return has(kSingle) || has(kIndex) || std::any_of(files.begin(), files.end(), [](const std::string& file) {
           return shard_of(file).has_value();
         });
}

std::vector<std::string> Snapshot::missing() const {
  std::vector<std::string> missing;
  if (!has("config.json")) missing.emplace_back("config.json");
  if (has(kSingle)) return missing;
  if (!has(kIndex)) missing.emplace_back(kIndex);
  bool any = false;
  for (const std::string& file : files) {
    any = any || file.ends_with(".safetensors");
    const auto shard = shard_of(file);
    if (!shard) continue;
    const auto shards = missing_parts(*this, *shard);
    missing.insert(missing.end(), shards.begin(), shards.end());
    return missing;
  }
  // Shards of other names: the index knows them, and whoever reads it.
  if (!any) missing.emplace_back("every shard of its index");
  return missing;
}

std::vector<GgufModel> Snapshot::gguf_models() const {
  constexpr std::string_view kSuffix = ".gguf";
  std::vector<GgufModel> models;
  for (const std::string& file : files) {
    if (!file.ends_with(kSuffix)) continue;
    const std::string_view base = std::string_view(file).substr(file.find('/') + 1);
    if (base.find("mmproj") != std::string_view::npos || base.find("imatrix") != std::string_view::npos) continue;
    const auto part = part_of(file, kSuffix);
    if (!part) {
      models.push_back({file, file, {}});
      continue;
    }
    std::string name = std::string(part->stem) + std::string(kSuffix);
    if (models.empty() || models.back().name != name)  // its parts follow each other: files are sorted
      models.push_back({std::move(name), part->file(1), missing_parts(*this, *part)});
  }
  return models;
}

Result<Snapshot> list_snapshot(const std::string& folder) {
  namespace fs = std::filesystem;
  Snapshot snapshot;
  std::error_code fault;
  fs::recursive_directory_iterator entry(folder, fault);
  for (; !fault && entry != fs::recursive_directory_iterator(); entry.increment(fault)) {
    if (entry.depth() >= 1) entry.disable_recursion_pending();
    std::error_code gone;
    const fs::file_status status = fs::status(entry->path(), gone);  // of what a link leads to
    const bool broken = status.type() == fs::file_type::not_found;
    std::string name = entry->path().lexically_relative(folder).string();
    if (!can_be_shown(name) || (!broken && !fs::is_regular_file(status))) continue;
    auto& list = broken ? snapshot.broken : snapshot.files;
    if (list.size() == kMaxFiles) return invalid("{} has more than {} files", folder, kMaxFiles);
    list.push_back(std::move(name));
  }
  if (fault) return outside("{} cannot be read: {}", folder, fault.message());
  std::sort(snapshot.files.begin(), snapshot.files.end());
  std::sort(snapshot.broken.begin(), snapshot.broken.end());
  return snapshot;
}

}  // namespace slipstream
