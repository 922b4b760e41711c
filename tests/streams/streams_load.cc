// streams_load [STREAMS] [TOKENS] : so many open streams (2000) of so many tokens (100) at once on the one I/O thread,
// with the echo model. Says what they cost the server; exit 1 if one of them got anything but what the model says.
#include <fmt/format.h>

#include <cstdlib>

#include "stream_load.h"

int main(int argc, char** argv) {
  slipstream::StreamLoad load{.num_streams = 2000, .num_tokens = 100};
  if (argc > 1) load.num_streams = static_cast<uint32_t>(std::atoi(argv[1]));
  if (argc > 2) load.num_tokens = static_cast<uint32_t>(std::atoi(argv[2]));
  const slipstream::StreamLoadReport report = slipstream::run_stream_load(load);
  const double events = static_cast<double>(load.num_streams) * load.num_tokens;
  fmt::print("{} streams of {} tokens in {:.2f} s, {} of them wrong {}\n", load.num_streams, load.num_tokens,
             report.wall_s, report.num_wrong, report.fault);
  fmt::print("memory      {:.1f} KiB of the server's process a stream while open, at most {:.1f} KiB while all run\n",
             report.open_bytes_per_stream / 1024, report.peak_bytes_per_stream / 1024);
  fmt::print("I/O thread  {:.2f} s of processor time, {:.1f} us a token\n", report.io_thread_cpu_s,
             report.io_thread_cpu_s / events * 1e6);
  fmt::print("wake-ups    {} by the engine in {} steps\n", report.num_wake_ups, report.num_steps);
  return report.num_wrong == 0 && report.num_wake_ups <= report.num_steps ? 0 : 1;
}
