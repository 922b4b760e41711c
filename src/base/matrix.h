// A view of rows of numbers that somebody else owns. Row r begins at data + r * stride; stride >= cols.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace slipstream {

template <class T>
struct Matrix {
  T* data = nullptr;
  uint32_t rows = 0;
  uint32_t cols = 0;
  size_t stride = 0;  // in elements

  T* row(size_t index) const { return data + index * stride; }
  std::span<T> span(size_t index) const { return {row(index), cols}; }
  operator Matrix<const T>() const { return {data, rows, cols, stride}; }
};

}  // namespace slipstream
