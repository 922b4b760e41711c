// How much waits for its first admission, in the inbox or in the queue, and what is beyond the bounds. Requests that
// were sent back to wait do not count: they are no more than run together.
//
// Where there are several clients, each may hold as much of the queue as is still free: one alone fills half of it, two
// a third each, and whoever comes next finds room (Choudhury and Hahne, "Dynamic Queue Length Thresholds for
// Shared-Memory Packet Switches", 1998).
//
// Any thread; no locks. Two that enter at the same time may both be refused where one alone would have been let in.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "base/result.h"

namespace slipstream {

class QueueBounds {
 public:
  QueueBounds(uint32_t max_requests, uint64_t max_tokens, uint32_t num_clients);

  // One more request of num_tokens prompt tokens; or kOverloaded, and nothing has changed. A request that would wait
  // alone is let in however many tokens it has: it could never be served otherwise.
  Status enter(uint32_t client, uint64_t num_tokens);
  // One that was let in is admitted, or was cancelled before.
  void leave(uint32_t client, uint64_t num_tokens);

  uint64_t num_requests() const { return all_.requests.load(); }

 private:
  struct Count {
    std::atomic<uint64_t> requests{0};
    std::atomic<uint64_t> tokens{0};
  };

  const uint64_t max_requests_;
  const uint64_t max_tokens_;
  Count all_;
  std::vector<Count> of_client_;  // [client]
};

}  // namespace slipstream
