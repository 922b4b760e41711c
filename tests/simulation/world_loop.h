// The command line of the programs that live through worlds: [--worlds N] [--seed S] lives through the worlds S, S +
// 1, ... S + N - 1 and exits with 1 at the first in which something is wrong, with its seed. --worlds 1 --seed S
// replays one.
#pragma once

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <unistd.h>

#include "base/clock.h"
#include "world.h"

namespace slipstream {

inline volatile uint64_t current_world_seed = 0;

// A failed CHECK aborts: the seed must be seen.
inline void print_world_seed(int) {
  char text[64];
  const int length =
      std::snprintf(text, sizeof text, "in world --seed %llu\n", static_cast<unsigned long long>(current_world_seed));
  [[maybe_unused]] const auto written = write(2, text, static_cast<size_t>(length));
}

// run: seed -> WorldResult. Returns main()'s.
template <class Run>
int live_through_worlds(int argc, char** argv, Run run) {
  uint64_t num_worlds = 20'000;
  uint64_t first_seed = 1;
  for (int i = 0; i < argc; i += 2) {
    const bool has_value = i + 1 < argc;
    if (has_value && std::strcmp(argv[i], "--worlds") == 0) {
      num_worlds = std::strtoull(argv[i + 1], nullptr, 10);
    } else if (has_value && std::strcmp(argv[i], "--seed") == 0) {
      first_seed = std::strtoull(argv[i + 1], nullptr, 10);
    } else {
      std::fprintf(stderr, "'%s' is not --worlds N or --seed S\n", argv[i]);
      return 2;
    }
  }
  std::signal(SIGABRT, print_world_seed);
  const Clock clock = Clock::real();
  const double begin_s = clock.now_s();
  WorldTotals totals;
  for (uint64_t seed = first_seed; seed < first_seed + num_worlds; ++seed) {
    current_world_seed = seed;
    const WorldResult result = run(seed);
    if (!result.fault.empty()) {
      std::fprintf(stderr, "world --seed %llu: %s\n", static_cast<unsigned long long>(seed), result.fault.c_str());
      return 1;
    }
    totals.add(result);
    const bool is_last = totals.num_worlds == num_worlds;
    if (is_last || totals.num_worlds % 100'000 == 0)
      std::printf("%s\n", totals.describe(clock.now_s() - begin_s).c_str());
  }
  return 0;
}

}  // namespace slipstream
