#include "app/progress_bar.h"

#include <fmt/format.h>

#include <algorithm>

namespace slipstream {
namespace {

constexpr uint32_t kWidth = 25;
constexpr double kMega = 1e6;

std::string time_text(double seconds) {
  if (seconds < 60) return fmt::format("{:.0f} s", seconds);
  return fmt::format("{:.0f} min {:02.0f} s", static_cast<double>(static_cast<uint64_t>(seconds) / 60),
                     static_cast<double>(static_cast<uint64_t>(seconds) % 60));
}

}  // namespace

std::string progress_line(std::string_view label, uint64_t done_bytes, uint64_t total_bytes, double elapsed_s) {
  const double done = static_cast<double>(std::min(done_bytes, total_bytes));
  const double total = static_cast<double>(total_bytes);
  const double part = total > 0 ? done / total : 1.0;
  const auto filled = static_cast<uint32_t>(part * kWidth);
  std::string line = fmt::format("{} [{}{}] {:3.0f} %  {:.0f} of {:.0f} MB", label, std::string(filled, '#'),
                                 std::string(kWidth - filled, ' '), part * 100, done / kMega, total / kMega);
  if (elapsed_s > 0 && done > 0) {
    const double speed = done / elapsed_s;
    line += fmt::format("  {:.0f} MB/s", speed / kMega);
    if (done < total) line += fmt::format("  {} left", time_text((total - done) / speed));
  }
  return line;
}

}  // namespace slipstream
