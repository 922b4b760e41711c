// write_hashes: makes tests/data/hashes.json anew, as the reference computes it. After a change of the arithmetic,
// which is a decision of its own: raise kArithmeticVersion, without which a change is refused.
#include <fmt/format.h>

#include <fstream>

#include "invariance/logits_hashes.h"
#include "kernels/fixed_arithmetic.h"

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
  const auto json = next_hashes_json(committed_hashes(), kArithmeticVersion, hashes);
  if (!json.ok()) {
    fmt::print(stderr, "write_hashes: {}\n", json.error().message);
    return 1;
  }
  std::ofstream out(hashes_file());
  out << json.value();
  return out.flush().good() ? 0 : 1;
}

}  // namespace
}  // namespace slipstream

int main() { return slipstream::write_hashes(); }
