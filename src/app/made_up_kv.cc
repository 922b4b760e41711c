#include "app/made_up_kv.h"

#include <cstring>

#include "base/random.h"
#include "kernels/float16.h"

namespace slipstream {

MadeUpKv::MadeUpKv(uint32_t block_tokens, size_t block_bytes, bool fp32)
    : block_tokens_(block_tokens), bytes_(block_bytes) {
  const size_t value_bytes = fp32 ? 4 : 2;
  for (size_t at = 0; at + value_bytes <= bytes_.size(); at += value_bytes) {
    const float value = static_cast<float>(static_cast<int64_t>(splitmix64(1, at))) * 0x1p-63f;  // in [-1, 1]
    const uint16_t half = narrow_fp16(value);
    std::memcpy(bytes_.data() + at, fp32 ? static_cast<const void*>(&value) : &half, value_bytes);
  }
}

bool MadeUpKv::ask(const BlockName& name, Use) {
  if (name.tokens.size() != block_tokens_) return false;
  asked_.emplace_back(name.tokens.begin(), name.tokens.end());
  return true;
}

std::optional<BlockStore::Found> MadeUpKv::next_found() {
  if (asked_.empty()) return std::nullopt;
  found_ = std::move(asked_.front());
  asked_.pop_front();
  return Found{found_, bytes_};
}

}  // namespace slipstream
