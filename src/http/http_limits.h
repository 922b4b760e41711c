// Every limit of the HTTP side in one place. What is over one is refused at the door, in words.
#pragma once

#include <cstdint>

namespace slipstream {

struct HttpLimits {
  uint32_t header_bytes = 16 << 10;             // request line and headers; more: 431
  uint64_t body_bytes = 8 << 20;                // one request's; more: 413 before it is read
  uint64_t bodies_in_work_bytes = 64 << 20;     // of all requests together; more: 429 for the slowest to send its own
  uint32_t connections = 4096;                  // more: who has been silent longest is closed; if nobody is, 429
  uint32_t header_timeout_ms = 10'000;          // from a request's (or the connection's) begin to its last header
  uint32_t body_timeout_ms = 60'000;            // for the whole body: who dribbles is cut off
  uint32_t idle_timeout_ms = 75'000;            // between two requests on one connection
  uint32_t write_timeout_ms = 30'000;           // without a byte taken by the reader
  uint32_t send_buffer_bytes = 256 << 10;       // of a socket: what a slow reader costs in the kernel
};

}  // namespace slipstream
