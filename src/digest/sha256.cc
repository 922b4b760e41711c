#include "digest/sha256.h"

namespace slipstream {

Sha256::Sha256() { slipstream_sha256_begin(&state_); }

Sha256& Sha256::add(std::span<const std::byte> bytes) {
  slipstream_sha256_add(&state_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  return *this;
}

std::array<std::byte, 32> Sha256::finish() {
  std::array<std::byte, 32> digest;
  slipstream_sha256_finish(&state_, reinterpret_cast<uint8_t*>(digest.data()));
  return digest;
}

}  // namespace slipstream
