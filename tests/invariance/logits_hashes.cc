#include "invariance/logits_hashes.h"

#include <xxhash.h>

#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/check.h"

namespace slipstream {
namespace {

struct FreeState {
  void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
};
using HashState = std::unique_ptr<XXH3_state_t, FreeState>;

}  // namespace

std::string hashes_file() { return std::string(SLIPSTREAM_TEST_DATA) + "/hashes.json"; }

HashesFile committed_hashes() {
  std::ifstream file(hashes_file());
  CHECK(file.good(), "{} cannot be read", hashes_file());
  const auto json = nlohmann::json::parse(file);
  return {json.at("arithmetic_version"), json.at("digest"), json.at("hashes").get<LogitsHashes>()};
}

std::string hashes_digest(uint32_t arithmetic_version, const LogitsHashes& hashes) {
  const std::string text = nlohmann::json::array({arithmetic_version, hashes}).dump();
  return fmt::format("{:016x}", XXH3_64bits(text.data(), text.size()));
}

Result<std::string> next_hashes_json(const HashesFile& committed, uint32_t arithmetic_version,
                                     const LogitsHashes& hashes) {
  for (const auto& [name, of_prompts] : hashes) {
    const auto before = committed.hashes.find(name);
    if (before == committed.hashes.end() || before->second == of_prompts) continue;
    if (committed.arithmetic_version == arithmetic_version) {
      return invalid("the logits of {} are not those of arithmetic version {}: raise kArithmeticVersion in "
                     "src/kernels/fixed_arithmetic.h if that is on purpose",
                     name, arithmetic_version);
    }
  }
  const nlohmann::json file = {{"arithmetic_version", arithmetic_version},
                               {"digest", hashes_digest(arithmetic_version, hashes)},
                               {"hashes", hashes}};
  return file.dump(1) + "\n";
}

Prompts oracle_prompts(const Oracle& oracle) {
  Prompts prompts;
  for (const OraclePrompt& prompt : oracle.prompts) prompts.push_back(prompt.tokens);
  return prompts;
}

Prompts smollm2_prompts(const SmolLm2Golden& golden) {
  Prompts prompts;
  for (const SmolLm2Chat& chat : golden.chats) {
    prompts.push_back(chat.prompt);
    prompts.back().insert(prompts.back().end(), chat.greedy.begin(), chat.greedy.end());
  }
  return prompts;
}

std::vector<std::string> logits_hashes(const LoadedModel& model, ThreadPool& pool, const Prompts& prompts,
                                       const RunSetting& setting) {
  std::vector<HashState> states;
  for (size_t prompt = 0; prompt < prompts.size(); ++prompt) {
    states.emplace_back(XXH3_createState());
    XXH3_64bits_reset(states.back().get());
  }
  const RunningPrompts running = make_run(model, pool, prompts, setting);
  PromptRun run(*running.executor, prompts, running.options);
  for (auto step = run.step(); !step.empty(); step = run.step()) {
    for (const PromptRows& rows : step) {
      CHECK(rows.finite, "prompt {} token {}", rows.prompt, rows.first_token);
      for (uint32_t row = 0; row < rows.logits.rows; ++row) {
        XXH3_64bits_update(states[rows.prompt].get(), rows.logits.row(row), rows.logits.span(row).size_bytes());
      }
    }
  }
  std::vector<std::string> hashes;
  for (const HashState& state : states) hashes.push_back(fmt::format("{:016x}", XXH3_64bits_digest(state.get())));
  return hashes;
}

}  // namespace slipstream
