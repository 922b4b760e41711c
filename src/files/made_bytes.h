// Bytes that no file holds: an address space in which a piece exists from need() to release(), made by a function. With
// it a checkpoint of any size can be planned and packed as if it lay in a file, and takes no more memory than the piece
// in work.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>

#include "base/result.h"

namespace slipstream {

class MadeBytes {
 public:
  // Fills `out` with what belongs at `offset`: the same bytes each time, whoever asks; any thread.
  using Make = std::function<void(size_t offset, std::span<std::byte> out)>;

  // Error: the system refuses the addresses.
  static Result<std::shared_ptr<MadeBytes>> reserve(size_t size, Make make);
  // Takes the addresses over; for reserve().
  MadeBytes(std::span<std::byte> bytes, Make make);
  ~MadeBytes();
  MadeBytes(const MadeBytes&) = delete;
  MadeBytes& operator=(const MadeBytes&) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }
  bool contains(const std::byte* byte) const { return byte >= bytes_.data() && byte < bytes_.data() + bytes_.size(); }

  // Makes `part`. Any thread; two threads' parts do not overlap.
  void need(std::span<const std::byte> part) const;
  // The pages wholly inside `part` go; they read as zeros until need() makes them again. Any thread.
  void release(std::span<const std::byte> part) const;

 private:
  const std::span<std::byte> bytes_;
  const Make make_;
};

}  // namespace slipstream
