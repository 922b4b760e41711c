// Many open streams at once on the one I/O thread: the server in this process, its clients in a child process, so that
// what is measured here is the server's alone.
#pragma once

#include <cstdint>
#include <string>

namespace slipstream {

struct StreamLoad {
  uint32_t num_streams = 500;
  uint32_t num_tokens = 60;  // of each answer
};

struct StreamLoadReport {
  uint32_t num_wrong = 0;             // streams whose events or text are not exactly what the echo model says
  std::string fault;                  // of the first of them
  double open_bytes_per_stream = 0;   // of process memory, before the first token
  double peak_bytes_per_stream = 0;   // while all of them stream
  double wall_s = 0;                  // from the first step to the last client's last byte
  double io_thread_cpu_s = 0;         // in that time
  uint64_t num_steps = 0;
  uint64_t num_wake_ups = 0;          // of the I/O thread by the engine
};

// Nothing else runs in the process meanwhile, and no other thread when it is called (it forks).
StreamLoadReport run_stream_load(const StreamLoad& load);

}  // namespace slipstream
