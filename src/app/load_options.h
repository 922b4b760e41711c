// What `slipstream bench serve`, `interval` and `simple` are asked beside the model.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace slipstream {

struct LoadOptions {
  uint32_t prompt_tokens = 128;
  uint32_t max_tokens = 64;
  uint32_t rounds = 3;                        // each figure is the median of so many

  // bench serve
  std::string url;                            // "": a server of its own
  std::string api_key;
  bool chat = false;
  std::vector<uint32_t> streams = {1, 4, 16};
  double request_rate = 0;                    // > 0: instead of the streams
  uint32_t num_requests = 0;                  // of a round; 0: as many as there are streams, twice
  uint64_t seed = 0;

  // bench interval
  std::vector<uint32_t> intervals = {1, 5, 10};
  uint32_t interval_streams = 8;
};

void add_serve_options(CLI::App& command, LoadOptions& options);
void add_interval_options(CLI::App& command, LoadOptions& options);
void add_simple_options(CLI::App& command, LoadOptions& options);

}  // namespace slipstream
