// P1 on real checkpoints: the committed hashes, whatever computes the logits and however prompts, blocks and threads
// are cut.
#include <gtest/gtest.h>

#include "invariance/logits_hashes.h"
#include "kernels/fixed_arithmetic.h"

namespace slipstream {
namespace {

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

// Chunks and batches in every combination; block sizes and shuffles take turns beside them, other turns for another
// offset.
std::vector<RunSetting> settings_of(Isa isa, uint32_t offset) {
  constexpr uint32_t kBlockTokens[] = {16, 64, 256};
  std::vector<RunSetting> settings;
  for (const bool together : {false, true}) {
    for (const uint32_t chunk : {0u, 1u, 17u, 64u}) {
      const auto turn = static_cast<uint32_t>(settings.size()) + offset;
      settings.push_back({.isa = isa,
                          .chunk_tokens = chunk,
                          .together = together,
                          .block_tokens = kBlockTokens[turn % 3],
                          .shuffle_seed = turn % 2 == 0 ? 0 : turn});
    }
  }
  return settings;
}

void expect_hashes(const std::string& name, const LoadedModel& model, const Prompts& prompts,
                   const std::vector<std::string>& committed, uint32_t num_threads,
                   const std::vector<RunSetting>& settings) {
  ThreadPool pool(num_threads);
  for (const RunSetting& setting : settings) {
    EXPECT_EQ(logits_hashes(model, pool, prompts, setting), committed)
        << name << ": " << setting.text() << ", " << num_threads << " threads";
  }
}

TEST(LogitsHashes, are_committed_as_write_hashes_made_them_under_the_version_of_this_arithmetic) {
  const HashesFile committed = committed_hashes();
  EXPECT_EQ(committed.arithmetic_version, kArithmeticVersion)
      << "build/release/tests/invariance/write_hashes makes tests/data/hashes.json for this version";
  EXPECT_TRUE(committed.digest == hashes_digest(committed.arithmetic_version, committed.hashes))
      << "hashes of the same version never change: raise kArithmeticVersion, then let write_hashes make the file";
}

TEST(LogitsHashes, change_only_with_the_version_of_the_arithmetic) {
  const HashesFile committed{.arithmetic_version = 3, .digest = "", .hashes = {{"a", {"1", "2"}}, {"b", {"3"}}}};
  const LogitsHashes one_more{{"a", {"1", "2"}}, {"b", {"3"}}, {"c", {"4"}}};
  const LogitsHashes changed{{"a", {"1", "5"}}, {"b", {"3"}}};
  EXPECT_TRUE(next_hashes_json(committed, 3, one_more).ok());
  EXPECT_TRUE(next_hashes_json(committed, 4, changed).ok());
  const auto refused = next_hashes_json(committed, 3, changed);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("raise kArithmeticVersion"), std::string::npos) << refused.error().message;
  EXPECT_NE(hashes_digest(3, changed), hashes_digest(3, committed.hashes));
  EXPECT_NE(hashes_digest(4, changed), hashes_digest(3, changed));
}

TEST(LogitsHashes, of_the_checkpoints_are_the_committed_ones_however_they_are_computed) {
  const LogitsHashes committed = committed_hashes().hashes;
  ThreadPool pool(2);
  for (const std::string& folder : committed_oracles()) {
    const Oracle oracle = read_oracle(folder);
    const auto model = load_model(folder, pool);
    ASSERT_TRUE(model.ok()) << model.error().message;
    const Prompts prompts = oracle_prompts(oracle);
    size_t num_ways = 0;
    for (const Isa isa : isas_of_this_machine()) {
      for (const uint32_t num_threads : {1u, 2u}) {
        const std::vector<RunSetting> settings = settings_of(isa, num_threads);
        expect_hashes(oracle.name, model.value(), prompts, committed.at(oracle.name), num_threads, settings);
        num_ways += settings.size();
      }
      // An odd number of threads, more than some machines have cores: few ways, since they wait for each other.
      const RunSetting batch{.isa = isa, .chunk_tokens = 17, .together = true, .block_tokens = 16, .shuffle_seed = 2};
      expect_hashes(oracle.name, model.value(), prompts, committed.at(oracle.name), 3, {{.isa = isa}, batch});
      num_ways += 2;
    }
    fmt::print("{:<24} {} ways: the committed hashes\n", oracle.name, num_ways);
  }
}

TEST(LogitsHashes, of_the_real_model_are_the_committed_ones_however_they_are_computed) {
  const auto file = smollm2_file();
  if (!file) GTEST_SKIP() << "SKIPPED: the real model is not here (SLIPSTREAM_SMOLLM2)";
  ThreadPool pool(2);
  const auto model = load_model(*file, pool);
  ASSERT_TRUE(model.ok()) << model.error().message;
  const Prompts prompts = smollm2_prompts(read_smollm2_golden());
  const auto committed = committed_hashes().hashes.at(kSmolLm2Name);
  expect_hashes("SmolLM2", model.value(), prompts, committed, 2, {{.isa = Isa::kReference}});
  if (!isa_supported(best_isa()) || best_isa() == Isa::kReference)
    GTEST_SKIP() << "SKIPPED avx2: this processor does not have it";
  expect_hashes("SmolLM2", model.value(), prompts, committed, 1, {{}});
  expect_hashes("SmolLM2", model.value(), prompts, committed, 2,
                {{},
                 {.chunk_tokens = 1, .together = true, .block_tokens = 16, .shuffle_seed = 1},
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
