// Random weights of a shape, as the tensors of an MLX checkpoint: every byte is a function of (seed, tensor, place), so
// that any thread makes any piece, in a file or in memory, and the bytes are the same on every machine.
//
// Quantised matrices have uniform values and, per group, a scale near s and the bias that makes their mean 0, with s
// such that an entry's variance is 1 / cols: activations stay near 1. Norms are near 1, the last one near 3, so that
// logits spread by about 3 as real ones do. Biases of q, k, v are within 0.1.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "files/tensor_source.h"
#include "model/dummy_shape.h"

namespace slipstream {

class DummyTensors {
 public:
  struct Entry {
    std::string name;
    DType dtype = DType::kBf16;
    std::vector<uint64_t> shape;
    uint64_t num_bytes = 0;

    enum class Kind : uint8_t { kValues, kScales, kBiases, kVector };
    Kind kind = Kind::kVector;
    uint64_t key = 0;      // of its random numbers; scales and biases of a matrix share one
    float centre = 0;      // kVector: a value is centre + spread * (-1 .. 1); kScales, kBiases: of a scale
    float spread = 0;
    float zero_point = 0;  // kBiases: bias = -zero_point * scale
  };

  DummyTensors(const DummyShape& shape, uint64_t seed);

  // In the order of the model's layers.
  std::span<const Entry> entries() const { return entries_; }
  uint64_t total_bytes() const;
  // Bytes [offset, offset + out.size()) of an entry. Any thread.
  void make(const Entry& entry, uint64_t offset, std::span<std::byte> out) const;

 private:
  void add_layer(const DummyShape& shape, uint32_t layer);
  void add_matrix(const std::string& path, std::vector<uint64_t> shape, uint32_t bits, uint32_t group);
  void add_vector(const std::string& name, uint64_t size, float centre, float spread);

  uint64_t seed_;
  std::vector<Entry> entries_;
};

// The tensors as a source that makes them when they are needed: load_weights() takes it like a file. Error: the system
// refuses the addresses.
Result<TensorSource> dummy_tensor_source(const DummyShape& shape, uint64_t seed);

}  // namespace slipstream
