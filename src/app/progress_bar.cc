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

std::string amount_text(double done, double total, ProgressUnit unit) {
  if (unit == ProgressUnit::kTokens) return fmt::format("{:.0f} of {:.0f} tokens", done, total);
  if (total >= 10 * kGiga) return fmt::format("{:.1f} of {:.1f} GB", done / kGiga, total / kGiga);
  const int digits = total >= 10 * kMega ? 0 : 1;
  return fmt::format("{:.{}f} of {:.{}f} MB", done / kMega, digits, total / kMega, digits);
}

// "" before there is a speed.
std::string speed_text(double per_second, ProgressUnit unit) {
  if (!(per_second > 0) || !std::isfinite(per_second)) return "";
  if (unit == ProgressUnit::kTokens) return fmt::format("  {:.0f} tokens/s", per_second);
  return fmt::format("  {:.{}f} MB/s", per_second / kMega, per_second >= 10 * kMega ? 0 : 1);
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

ProgressBar::ProgressBar(std::string label, Clock clock, ProgressUnit unit)
    : label_(std::move(label)), clock_(clock), unit_(unit), start_s_(clock.now_s()), last_s_(start_s_) {}

std::optional<std::string> ProgressBar::update(uint64_t done, uint64_t total, uint32_t columns) {
  const double now_s = clock_.now_s();
  const bool ends = done >= total;
  if (ended_ || (!ends && shown_ && now_s - shown_s_ < kShowEverySeconds)) return std::nullopt;
  take_speed(done, now_s);
  shown_ = true;
  shown_s_ = now_s;
  ended_ = ends;

  const double all = static_cast<double>(total);
  const double part = ends ? all : static_cast<double>(done);
  const bool too_soon = !ends && now_s - start_s_ < kFirstSeconds;
  const double speed = ends ? all / (now_s - start_s_) : too_soon ? 0 : recent_done_ / recent_seconds_;
  std::string speed_and_rest = speed_text(speed, unit_);
  if (const double left = (all - part) / speed; !ends && !speed_and_rest.empty() && left < kLongestSeconds)
    speed_and_rest += fmt::format("  {} left", time_text(left));
  return fitted(label_, ends ? 1.0 : part / all, amount_text(part, all, unit_), speed_and_rest, columns);
}

void ProgressBar::take_speed(uint64_t done, double now_s) {
  const double seconds = now_s - last_s_;
  const double keep = std::exp(-seconds / kRecentSeconds);
  const uint64_t more = done > last_done_ ? done - last_done_ : 0;
  recent_done_ = recent_done_ * keep + static_cast<double>(more);
  recent_seconds_ = recent_seconds_ * keep + seconds;
  last_s_ = now_s;
  last_done_ = std::max(last_done_, done);
}

namespace {

uint32_t terminal_columns() {
  constexpr uint32_t kUsual = 80;  // of a terminal that does not say
  struct winsize size {};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : kUsual;
}

class TerminalLine {
 public:
  TerminalLine(std::string label, ProgressUnit unit) : bar_(std::move(label), Clock::real(), unit) {}
  ~TerminalLine() {
    if (bar_.is_open()) fmt::print(stderr, "\n");
  }
  TerminalLine(const TerminalLine&) = delete;
  TerminalLine& operator=(const TerminalLine&) = delete;

  void update(uint64_t done, uint64_t total) {
    const auto line = bar_.update(done, total, terminal_columns());
    if (!line) return;
    // The rest of the line before may be longer: erased to its end.
    fmt::print(stderr, "\r{}\x1b[K{}", *line, bar_.is_open() ? "" : "\n");
    std::fflush(stderr);
  }

 private:
  ProgressBar bar_;
};

}  // namespace

LoadProgress terminal_progress(std::string label, ProgressUnit unit) {
  if (::isatty(STDERR_FILENO) == 0) return {};
  return [line = std::make_shared<TerminalLine>(std::move(label), unit)](uint64_t done, uint64_t total) {
    line->update(done, total);
  };
}

}  // namespace slipstream
