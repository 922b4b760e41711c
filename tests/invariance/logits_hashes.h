// The logits of known prompts as hashes: what every machine, compiler, instruction set and way of computing must give.
//
// A hash is XXH3 (64 bits, seed 0) over a prompt's logits, row after row, as the little-endian fp32 they are in memory.
// tests/data/hashes.json: checkpoint -> one hash for each of its golden prompts (SmolLM2: each chat with its answer),
// in the product's arithmetic. write_hashes makes the file; it changes only when the arithmetic does, and then on
// purpose.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "golden/model_runs.h"
#include "golden/oracle.h"

namespace slipstream {

using LogitsHashes = std::map<std::string, std::vector<std::string>>;  // 16 hex digits each

inline constexpr const char* kSmolLm2Name = "smollm2-chats";

LogitsHashes committed_hashes();
std::string hashes_json(const LogitsHashes& hashes);

Prompts oracle_prompts(const Oracle& oracle);
Prompts smollm2_prompts(const SmolLm2Golden& golden);  // each chat and its answer

// One hash per prompt.
std::vector<std::string> logits_hashes(const LoadedModel& model, ThreadPool& pool, const Prompts& prompts,
                                       const RunSetting& setting);

}  // namespace slipstream
