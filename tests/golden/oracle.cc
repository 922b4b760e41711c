#include "golden/oracle.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/check.h"

namespace slipstream {
namespace {

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  CHECK(file.good(), "{} cannot be read", path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> folders_of(const std::string& parent) {
  std::vector<std::string> folders;
  for (const auto& entry : std::filesystem::directory_iterator(parent)) {
    if (std::filesystem::exists(entry.path() / "golden.json")) folders.push_back(entry.path().string());
  }
  std::sort(folders.begin(), folders.end());
  CHECK(!folders.empty(), "{} has no checkpoints", parent);
  return folders;
}

// golden.safetensors: logits.N, fp32 [positions, vocab_size].
void read_logits(const std::string& path, std::vector<OraclePrompt>& prompts) {
  const std::string file = read_file(path);
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, file.data(), sizeof header_bytes);
  const auto header = nlohmann::json::parse(file.substr(8, header_bytes));
  for (size_t index = 0; index < prompts.size(); ++index) {
    const auto& entry = header.at("logits." + std::to_string(index));
    const auto shape = entry.at("shape").get<std::vector<size_t>>();
    const size_t begin = 8 + header_bytes + entry.at("data_offsets").at(0).get<size_t>();
    CHECK(entry.at("dtype") == "F32" && shape.at(0) == prompts[index].positions.size(), "{} logits.{}", path, index);
    for (size_t row = 0; row < shape[0]; ++row) {
      std::vector<float>& logits = prompts[index].logits.emplace_back(shape[1]);
      CHECK(begin + (row + 1) * shape[1] * sizeof(float) <= file.size(), "{} is too short", path);
      std::memcpy(logits.data(), file.data() + begin + row * shape[1] * sizeof(float), shape[1] * sizeof(float));
    }
  }
}

}  // namespace

std::vector<std::string> committed_oracles() { return folders_of(std::string(SLIPSTREAM_TEST_DATA) + "/oracle"); }

std::vector<std::string> outside_oracles() {
  const char* data = std::getenv("SLIPSTREAM_DATA");
  return data == nullptr ? std::vector<std::string>{} : folders_of(std::string(data) + "/oracle");
}

Oracle read_oracle(const std::string& folder) {
  Oracle oracle{std::filesystem::path(folder).filename().string(), folder, {}};
  const auto json = nlohmann::json::parse(read_file(folder + "/golden.json"));
  for (const auto& entry : json.at("prompts")) {
    OraclePrompt& prompt = oracle.prompts.emplace_back();
    entry.at("prompt").get_to(prompt.tokens);
    entry.at("positions").get_to(prompt.positions);
    entry.at("greedy").get_to(prompt.greedy);
    entry.at("margins").get_to(prompt.margins);
    entry.at("logits_std").get_to(prompt.logits_std);
  }
  read_logits(folder + "/golden.safetensors", oracle.prompts);
  return oracle;
}

SmolLm2Golden read_smollm2_golden() {
  const auto json = nlohmann::json::parse(read_file(std::string(SLIPSTREAM_TEST_DATA) + "/smollm2/golden.json"));
  SmolLm2Golden golden;
  for (const auto& entry : json.at("chats")) {
    SmolLm2Chat& chat = golden.chats.emplace_back();
    entry.at("prompt_tokens").get_to(chat.prompt);
    entry.at("greedy_tokens").get_to(chat.greedy);
    entry.at("margins").get_to(chat.margins);
  }
  json.at("perplexity").at("tokens").get_to(golden.perplexity_tokens);
  json.at("perplexity").at("nll_by_window").get_to(golden.nll_by_window);
  return golden;
}

std::optional<std::string> smollm2_file() {
  std::string path;
  if (const char* file = std::getenv("SLIPSTREAM_SMOLLM2"); file != nullptr) {
    path = file;
  } else {
    const char* cache = std::getenv("XDG_CACHE_HOME");
    const char* home = std::getenv("HOME");
    path = cache != nullptr && *cache != 0 ? cache : std::string(home == nullptr ? "" : home) + "/.cache";
    path += "/slipstream/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf";
  }
  if (!std::filesystem::exists(path)) return std::nullopt;
  return path;
}

}  // namespace slipstream
