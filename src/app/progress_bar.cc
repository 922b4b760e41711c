#include "app/progress_bar.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <utility>

namespace slipstream {
namespace {

constexpr uint32_t kBarWidth = 25;
constexpr uint32_t kLeastBarWidth = 5;  // less says no more than the percentage beside it
constexpr double kShowEverySeconds = 0.1;
constexpr double kRecentSeconds = 5;  // packing swings between matrices of different formats within a second
constexpr double kFirstSeconds = 1;   // before, a few small tensors would say that it takes hours
constexpr double kLongestSeconds = 100 * 3600.0;
constexpr double kMega = 1e6;
constexpr double kGiga = 1e9;

std::string time_text(double seconds) {
  const auto whole = static_cast<uint64_t>(std::ceil(seconds));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
}

std::string amount_text(double done, double total) {
  if (total >= 10 * kGiga) return fmt::format("{:.1f} of {:.1f} GB", done / kGiga, total / kGiga);
  const int digits = total >= 10 * kMega ? 0 : 1;
  return fmt::format("{:.{}f} of {:.{}f} MB", done / kMega, digits, total / kMega, digits);
}

// "" before there is a speed.
std::string speed_text(double bytes_per_second) {
  if (!(bytes_per_second > 0) || !std::isfinite(bytes_per_second)) return "";
  return fmt::format("  {:.{}f} MB/s", bytes_per_second / kMega, bytes_per_second >= 10 * kMega ? 0 : 1);
}

std::string bar_text(double part, uint32_t width) {
  const auto filled = static_cast<uint32_t>(part * width);
  return fmt::format("[{}{}] ", std::string(filled, '#'), std::string(width - filled, ' '));
}

// The fullest of its forms that has less than `columns` columns: the last column is left free, since some terminals
// begin a new line after it.
std::string fitted(std::string_view label, double part, const std::string& amount, const std::string& speed,
                   uint32_t columns) {
  const std::string percent = fmt::format("{:3.0f} %", std::floor(part * 100));
  const std::string tail = fmt::format("{}  {}{}", percent, amount, speed);
  const size_t without_bar = label.size() + 1 + tail.size();
  const size_t with_least_bar = without_bar + 3 + kLeastBarWidth;
  if (columns > with_least_bar) {
    const size_t width = std::min<size_t>(kBarWidth, columns - with_least_bar - 1 + kLeastBarWidth);
    return fmt::format("{} {}{}", label, bar_text(part, static_cast<uint32_t>(width)), tail);
  }
  for (const std::string& form :
       {fmt::format("{} {}", label, tail), fmt::format("{} {}{}", label, percent, speed), percent + speed}) {
    if (form.size() < columns) return form;
  }
  return percent;
}

}  // namespace

ProgressBar::ProgressBar(std::string label, Clock clock)
    : label_(std::move(label)), clock_(clock), start_s_(clock.now_s()), last_s_(start_s_) {}

std::optional<std::string> ProgressBar::update(uint64_t done_bytes, uint64_t total_bytes, uint32_t columns) {
  const double now_s = clock_.now_s();
  const bool ends = done_bytes >= total_bytes;
  if (ended_ || (!ends && shown_ && now_s - shown_s_ < kShowEverySeconds)) return std::nullopt;
  take_speed(done_bytes, now_s);
  shown_ = true;
  shown_s_ = now_s;
  ended_ = ends;

  const double total = static_cast<double>(total_bytes);
  const double done = ends ? total : static_cast<double>(done_bytes);
  const bool too_soon = !ends && now_s - start_s_ < kFirstSeconds;
  const double speed = ends ? total / (now_s - start_s_) : too_soon ? 0 : recent_bytes_ / recent_seconds_;
  std::string speed_and_rest = speed_text(speed);
  if (const double left = (total - done) / speed; !ends && !speed_and_rest.empty() && left < kLongestSeconds)
    speed_and_rest += fmt::format("  {} left", time_text(left));
  return fitted(label_, ends ? 1.0 : done / total, amount_text(done, total), speed_and_rest, columns);
}

void ProgressBar::take_speed(uint64_t done_bytes, double now_s) {
  const double seconds = now_s - last_s_;
  const double keep = std::exp(-seconds / kRecentSeconds);
  const uint64_t bytes = done_bytes > last_bytes_ ? done_bytes - last_bytes_ : 0;
  recent_bytes_ = recent_bytes_ * keep + static_cast<double>(bytes);
  recent_seconds_ = recent_seconds_ * keep + seconds;
  last_s_ = now_s;
  last_bytes_ = std::max(last_bytes_, done_bytes);
}

namespace {

uint32_t terminal_columns() {
  constexpr uint32_t kUsual = 80;  // of a terminal that does not say
  struct winsize size {};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : kUsual;
}

class TerminalLine {
 public:
  explicit TerminalLine(std::string label) : bar_(std::move(label), Clock::real()) {}
  ~TerminalLine() {
    if (bar_.is_open()) fmt::print(stderr, "\n");
  }
  TerminalLine(const TerminalLine&) = delete;
  TerminalLine& operator=(const TerminalLine&) = delete;

  void update(uint64_t done_bytes, uint64_t total_bytes) {
    const auto line = bar_.update(done_bytes, total_bytes, terminal_columns());
    if (!line) return;
    // The rest of the line before may be longer: erased to its end.
    fmt::print(stderr, "\r{}\x1b[K{}", *line, bar_.is_open() ? "" : "\n");
    std::fflush(stderr);
  }

 private:
  ProgressBar bar_;
};

}  // namespace

LoadProgress terminal_progress(std::string label) {
  if (::isatty(STDERR_FILENO) == 0) return {};
  return [line = std::make_shared<TerminalLine>(std::move(label))](uint64_t done_bytes, uint64_t total_bytes) {
    line->update(done_bytes, total_bytes);
  };
}

}  // namespace slipstream
