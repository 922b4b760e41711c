// simulation_worlds [--worlds N] [--seed S]: lives through the worlds S, S + 1, ... S + N - 1; exit 1 at the first in which something is
// wrong, with its seed. --worlds 1 --seed S replays one.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <unistd.h>

#include "base/clock.h"
#include "world.h"

namespace {

volatile uint64_t current_seed = 0;

// A failed CHECK aborts: the seed must be seen.
void print_seed(int) {
  char text[64];
  const int length = std::snprintf(text, sizeof text, "in world --seed %llu\n", static_cast<unsigned long long>(current_seed));
  [[maybe_unused]] const auto written = write(2, text, static_cast<size_t>(length));
}

}  // namespace

int main(int argc, char** argv) {
  using namespace slipstream;
  uint64_t num_worlds = 20'000;
  uint64_t first_seed = 1;
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 < argc && std::strcmp(argv[i], "--worlds") == 0) {
      num_worlds = std::strtoull(argv[i + 1], nullptr, 10);
    } else if (i + 1 < argc && std::strcmp(argv[i], "--seed") == 0) {
      first_seed = std::strtoull(argv[i + 1], nullptr, 10);
    } else {
      std::fprintf(stderr, "usage: %s [--worlds N] [--seed S]\n", argv[0]);
      return 2;
    }
  }
  std::signal(SIGABRT, print_seed);
  const Clock clock = Clock::real();
  const double begin_s = clock.now_s();
  WorldTotals totals;
  for (uint64_t seed = first_seed; seed < first_seed + num_worlds; ++seed) {
    current_seed = seed;
    const WorldResult result = run_echo_world(seed);
    if (!result.fault.empty()) {
      std::fprintf(stderr, "world --seed %llu: %s\n", static_cast<unsigned long long>(seed), result.fault.c_str());
      return 1;
    }
    totals.add(result);
    if ((seed - first_seed + 1) % 100'000 == 0) std::printf("%s\n", totals.describe(clock.now_s() - begin_s).c_str());
  }
  std::printf("%s\n", totals.describe(clock.now_s() - begin_s).c_str());
  return 0;
}
