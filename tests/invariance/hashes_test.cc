// P1 on real checkpoints: the committed hashes, whatever computes the logits and however prompts, blocks and threads are cut.
#include <gtest/gtest.h>

#include "invariance/logits_hashes.h"

namespace slipstream {
namespace {

constexpr Isa kAllIsas[] = {Isa::kReference, Isa::kAvx2};

std::vector<Isa> isas_of_this_machine() {
  std::vector<Isa> isas;
  for (const Isa isa : kAllIsas) {
    if (isa_supported(isa)) {
      isas.push_back(isa);
    } else {
      fmt::print("SKIPPED {}: this processor does not have it\n", isa_name(isa));
    }
  }
  return isas;
}

// Every combination of what must not matter.
std::vector<RunSetting> all_settings() {
  std::vector<RunSetting> settings;
  for (const Isa isa : isas_of_this_machine()) {
    for (const uint32_t chunk : {0u, 1u, 17u, 64u}) {
      for (const bool together : {false, true}) {
        for (const uint32_t block_tokens : {16u, 64u, 256u}) {
          for (const uint64_t shuffle_seed : {0, 1}) {
            settings.push_back({.isa = isa, .chunk_tokens = chunk, .together = together, .block_tokens = block_tokens,
                                .shuffle_seed = shuffle_seed});
          }
        }
      }
    }
  }
  return settings;
}

void expect_hashes(const std::string& name, const LoadedModel& model, const Prompts& prompts,
                   const std::vector<std::string>& committed, uint32_t num_threads, const std::vector<RunSetting>& settings) {
  ThreadPool pool(num_threads);
  for (const RunSetting& setting : settings) {
    EXPECT_EQ(logits_hashes(model, pool, prompts, setting), committed) << name << ": " << setting.text() << ", " << num_threads << " threads";
  }
}

TEST(LogitsHashes, of_the_checkpoints_are_the_committed_ones_however_they_are_computed) {
  const LogitsHashes committed = committed_hashes();
  const std::vector<RunSetting> settings = all_settings();
  ThreadPool pool(2);
  for (const std::string& folder : committed_oracles()) {
    const Oracle oracle = read_oracle(folder);
    const auto model = load_model(folder, pool);
    ASSERT_TRUE(model.ok()) << model.error().message;
    const Prompts prompts = oracle_prompts(oracle);
    for (const uint32_t num_threads : {1u, 2u}) {
      expect_hashes(oracle.name, model.value(), prompts, committed.at(oracle.name), num_threads, settings);
    }
    // An odd number of threads, more than some machines have cores: a few ways only, since they wait for each other.
    for (const Isa isa : isas_of_this_machine()) {
      expect_hashes(oracle.name, model.value(), prompts, committed.at(oracle.name), 3,
                    {{.isa = isa}, {.isa = isa, .chunk_tokens = 17, .together = true, .block_tokens = 16, .shuffle_seed = 2}});
    }
    fmt::print("{:<24} {} ways: the committed hashes\n", oracle.name, 2 * settings.size() + 2 * isas_of_this_machine().size());
  }
}

TEST(LogitsHashes, of_the_real_model_are_the_committed_ones_however_they_are_computed) {
  const auto file = smollm2_file();
  if (!file) GTEST_SKIP() << "SKIPPED: the real model is not here (SLIPSTREAM_SMOLLM2)";
  ThreadPool pool(2);
  const auto model = load_model(*file, pool);
  ASSERT_TRUE(model.ok()) << model.error().message;
  const Prompts prompts = smollm2_prompts(read_smollm2_golden());
  const auto committed = committed_hashes().at(kSmolLm2Name);
  expect_hashes("SmolLM2", model.value(), prompts, committed, 2, {{.isa = Isa::kReference}});
  if (!isa_supported(best_isa()) || best_isa() == Isa::kReference) GTEST_SKIP() << "SKIPPED avx2: this processor does not have it";
  expect_hashes("SmolLM2", model.value(), prompts, committed, 1, {{}});
  expect_hashes("SmolLM2", model.value(), prompts, committed, 2,
                {{},
                 {.chunk_tokens = 1, .together = true, .block_tokens = 16, .shuffle_seed = 1},
                 {.chunk_tokens = 1},
                 {.chunk_tokens = 17, .block_tokens = 256},
                 {.chunk_tokens = 17, .together = true, .shuffle_seed = 2},
                 {.chunk_tokens = 64, .together = true, .block_tokens = 32}});
}

// The hash would notice: one bit of one logit.
TEST(LogitsHashes, change_with_the_arithmetic) {
  ThreadPool pool(2);
  const std::string folder = committed_oracles().front();
  const auto model = load_model(folder, pool);
  ASSERT_TRUE(model.ok()) << model.error().message;
  const Prompts prompts = oracle_prompts(read_oracle(folder));
  EXPECT_NE(logits_hashes(model.value(), pool, prompts, {.activations = ActivationMode::kF32}),
            logits_hashes(model.value(), pool, prompts, {}));
}

}  // namespace
}  // namespace slipstream
