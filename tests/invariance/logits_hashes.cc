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

LogitsHashes committed_hashes() {
  std::ifstream file(std::string(SLIPSTREAM_TEST_DATA) + "/hashes.json");
  CHECK(file.good(), "tests/data/hashes.json cannot be read");
  return nlohmann::json::parse(file).get<LogitsHashes>();
}

std::string hashes_json(const LogitsHashes& hashes) { return nlohmann::json(hashes).dump(1) + "\n"; }

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
