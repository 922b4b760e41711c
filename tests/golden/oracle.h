// Checkpoints whose answers are known: tests/data/oracle (and more of them under $SLIPSTREAM_DATA/oracle), and the real
// model. The answers are float64's on the stored weights; how they were made says the README of the oracles.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"

namespace slipstream {

struct OraclePrompt {
  std::vector<TokenId> tokens;
  std::vector<uint32_t> positions;         // rows that `logits` has
  std::vector<std::vector<float>> logits;  // [positions][vocab_size]
  std::vector<TokenId> greedy;
  std::vector<double> margins;  // best minus second logit, at each greedy token
  double logits_std = 0.0;      // of this prompt's logits: what differences are measured in
};

struct Oracle {
  std::string name;  // of the folder
  std::string folder;
  std::vector<OraclePrompt> prompts;
};

// Folders of committed checkpoints, sorted by name.
std::vector<std::string> committed_oracles();
// Folders of $SLIPSTREAM_DATA/oracle, sorted by name; empty where the variable is not set.
std::vector<std::string> outside_oracles();
Oracle read_oracle(const std::string& folder);

struct SmolLm2Chat {
  std::vector<TokenId> prompt;
  std::vector<TokenId> greedy;
  std::vector<double> margins;
};
struct SmolLm2Golden {
  std::vector<SmolLm2Chat> chats;
  std::vector<TokenId> perplexity_tokens;
  std::vector<double> nll_by_window;  // windows of 512
};
SmolLm2Golden read_smollm2_golden();

// The real model's file: $SLIPSTREAM_SMOLLM2, or where ./run puts it. Nothing when it is not there.
std::optional<std::string> smollm2_file();

}  // namespace slipstream
