// The logits of known prompts as hashes: what every machine, compiler, instruction set and way of computing must give.
//
// A hash is XXH3 (64 bits, seed 0) over a prompt's logits, row after row, as the little-endian fp32 they are in memory.
// tests/data/hashes.json:
//   "hashes"              checkpoint -> one hash for each of its golden prompts (SmolLM2: each chat with its answer),
//                         in the product's arithmetic
//   "arithmetic_version"  which arithmetic that was (kernels/fixed_arithmetic.h)
//   "digest"              of both, so that neither is changed by hand
// write_hashes makes the file. A hash in it changes only when the arithmetic does, and then on purpose, with the
// version: otherwise K and V of the old arithmetic would be read from disks as the new one's.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "golden/model_runs.h"
#include "golden/oracle.h"

namespace slipstream {

using LogitsHashes = std::map<std::string, std::vector<std::string>>;  // 16 hex digits each

inline constexpr const char* kSmolLm2Name = "smollm2-chats";

struct HashesFile {
  uint32_t arithmetic_version = 0;
  std::string digest;
  LogitsHashes hashes;
};

std::string hashes_file();  // its path
HashesFile committed_hashes();
std::string hashes_digest(uint32_t arithmetic_version, const LogitsHashes& hashes);
// The file's next text. Error: a checkpoint has other hashes than those committed under this version.
Result<std::string> next_hashes_json(const HashesFile& committed, uint32_t arithmetic_version,
                                     const LogitsHashes& hashes);

Prompts oracle_prompts(const Oracle& oracle);
Prompts smollm2_prompts(const SmolLm2Golden& golden);  // each chat and its answer

// One hash per prompt.
std::vector<std::string> logits_hashes(const LoadedModel& model, ThreadPool& pool, const Prompts& prompts,
                                       const RunSetting& setting);

}  // namespace slipstream
