// Sections of a row (heads, chunks of inputs) whose columns several threads make: whoever makes a section's last ones
// learns it, and goes on with the section while it is near. So nobody waits until all threads are done.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/thread_pool.h"

namespace slipstream {

class SectionCounts {
 public:
  // `columns` in sections of `section_columns`, of which the last may be shorter.
  SectionCounts(uint32_t columns, uint32_t section_columns)
      : columns_(columns),
        section_columns_(section_columns),
        done_(std::make_unique<std::atomic<uint32_t>[]>((size_t{columns} + section_columns - 1) / section_columns)) {}

  // These columns are made. Calls complete(section) for each section that thereby is; what other threads wrote of it
  // is visible then. Once all columns were given once, all are unmade again. Any thread.
  template <class Complete>
  void add(Range made, const Complete& complete) {
    for (uint32_t begin = made.begin; begin < made.end;) {
      const uint32_t section = begin / section_columns_;
      const uint32_t first = section * section_columns_;
      const uint32_t size = std::min(columns_ - first, section_columns_);
      const uint32_t count = std::min(made.end, first + size) - begin;
      begin += count;
      if (count < size) {
        if (done_[section].fetch_add(count, std::memory_order_acq_rel) + count < size) continue;
        done_[section].store(0, std::memory_order_relaxed);
      }
      complete(section);
    }
  }

 private:
  const uint32_t columns_;
  const uint32_t section_columns_;
  std::unique_ptr<std::atomic<uint32_t>[]> done_;  // columns of each section; 0: none or all
};

}  // namespace slipstream
