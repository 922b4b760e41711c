// write_hashes: prints tests/data/hashes.json as the reference computes it. After a change of the arithmetic, which is
// a decision of its own:  build/release/tests/invariance/write_hashes > tests/data/hashes.json
#include <fmt/format.h>

#include "invariance/logits_hashes.h"

namespace slipstream {
namespace {

int write_hashes() {
  ThreadPool pool(2);
  const RunSetting setting{.isa = Isa::kReference};
  LogitsHashes hashes;
  for (const std::string& folder : committed_oracles()) {
    const Oracle oracle = read_oracle(folder);
    const auto model = load_model(folder, pool);
    CHECK(model.ok(), "{}", model.error().message);
    hashes[oracle.name] = logits_hashes(model.value(), pool, oracle_prompts(oracle), setting);
  }
  const auto file = smollm2_file();
  if (!file) {
    fmt::print(stderr, "write_hashes: the real model is not here (SLIPSTREAM_SMOLLM2)\n");
    return 1;
  }
  const auto model = load_model(*file, pool);
  CHECK(model.ok(), "{}", model.error().message);
  hashes[kSmolLm2Name] = logits_hashes(model.value(), pool, smollm2_prompts(read_smollm2_golden()), setting);
  fmt::print("{}", hashes_json(hashes));
  return 0;
}

}  // namespace
}  // namespace slipstream

int main() { return slipstream::write_hashes(); }
