// SHA-256 (FIPS 180-4), for names that nobody may be able to collide with. Allocates nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "digest/digest_abi.h"

namespace slipstream {

class Sha256 {
 public:
  Sha256();
  Sha256& add(std::span<const std::byte> bytes);
  // The value's bytes as they lie in memory (little endian); no padding in T.
  template <class T>
  Sha256& add_value(const T& value) {
    return add(std::as_bytes(std::span(&value, 1)));
  }
  // Of everything added. Once.
  std::array<std::byte, 32> finish();

 private:
  slipstream_sha256 state_;
};

}  // namespace slipstream
