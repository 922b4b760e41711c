// A store that has every block, made up: with it an engine's long prompts cost next to nothing, so that steps at a long
// context can be measured without computing it first. K and V are random numbers, as a kernel's speed depends on that
// they are no zeros, and on nothing else about them.
#pragma once

#include <deque>
#include <vector>

#include "disk/block_store.h"

namespace slipstream {

class MadeUpKv final : public BlockStore {
 public:
  // fp32: K and V are of --activations f32, else fp16.
  MadeUpKv(uint32_t block_tokens, size_t block_bytes, bool fp32);

  const Secret& secret() const override { return secret_; }
  bool contains(const ChainKey&) const override { return true; }
  std::span<std::byte> begin_write(const BlockName&, size_t, Use) override { return {}; }  // nothing is kept
  void end_write() override {}
  void refresh(const ChainKey&, Use) override {}
  // Only whole blocks: where a sequence ends is for the engine to compute.
  bool ask(const BlockName& name, Use) override;
  std::optional<Found> next_found() override;
  void wait() override {}
  bool wait_to_write() override { return false; }
  void clear() override {}
  DiskCounts counts() const override { return {}; }

 private:
  const uint32_t block_tokens_;
  const Secret secret_{};
  std::vector<std::byte> bytes_;              // of any block
  std::deque<std::vector<TokenId>> asked_;    // tokens of each block that has not come yet
  std::vector<TokenId> found_;
};

}  // namespace slipstream
