// SHA-256 (FIPS 180-4), for names that nobody may be able to collide with. About 250 MB/s: not for big things.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace slipstream {

class Sha256 {
 public:
  Sha256& add(std::span<const std::byte> bytes);
  // The value's bytes as they lie in memory (little endian); no padding in T.
  template <class T>
  Sha256& add_value(const T& value) {
    return add(std::as_bytes(std::span(&value, 1)));
  }
  // Of everything added. Once.
  std::array<std::byte, 32> finish();

 private:
  void take_block(const std::byte* block);

  std::array<uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::byte, 64> buffer_;
  uint64_t num_bytes_ = 0;
};

}  // namespace slipstream
