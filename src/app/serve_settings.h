// What `slipstream serve` was told. Every option is one row of the table in serve_settings.cc: its name, its help, and
// how its value is read into one field here.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "kernels/kernels.h"

namespace slipstream {

inline constexpr double kDefaultCacheFraction = 0.20;  // of the memory that is left once the weights are in

struct ServeSettings {
  std::string model;                         // a folder, a .gguf file, or a hub's name
  std::string dummy;                         // instead of it: SHAPE or SHAPE:SEED

  bool continuous_batching = false;          // false: simple mode, one request at a time
  uint32_t max_num_seqs = 256;               // with continuous batching
  uint32_t max_num_batched_tokens = 2048;
  double max_step_ms = 200;                  // 0: steps are bounded by tokens only
  uint32_t stream_interval = 1;
  bool prompt_lookup = false;                // drafts from a request's own tokens

  bool use_paged_cache = false;              // always paged: changes nothing, as its help says
  uint32_t block_tokens = 64;
  std::optional<uint64_t> cache_memory_mb;
  std::optional<double> cache_memory_percent;
  std::optional<uint32_t> max_model_len;
  bool prefix_cache = true;
  std::string warm_prompts;                  // a file; "": none
  bool memory_aware_cache = true;            // false: the number of remembered prompts is bounded too
  uint32_t prefix_cache_size = 100;          // that bound
  bool share_cache = false;                  // between API keys
  std::string cache_dir;                     // "": nothing is kept on a disk
  uint64_t cache_disk_mb = 10240;            // in it, at most

  std::string host = "127.0.0.1";
  uint16_t port = 8000;
  std::vector<std::string> api_keys;         // those of files too
  bool no_auth = false;
  std::vector<std::string> allowed_origins;
  uint32_t max_waiting_requests = 4096;
  uint64_t max_waiting_tokens = uint64_t{16} << 20;
  uint32_t shutdown_timeout_s = 30;
  std::string served_model_name;             // "": the hub's name, or the folder's or file's own
  std::string chat_template;                 // a file; "": the model's own
  bool suggested_sampling = true;            // where a request says nothing: as generation_config.json suggests

  uint32_t threads = 0;                      // 0: as many as processors may be used
  Isa isa = best_isa();
  LogLevel log_level = LogLevel::kInfo;

  std::vector<std::string> warnings;         // what is accepted, and should be known
};

struct ServeOption {
  std::string_view name;        // "--port"
  std::string_view value_name;  // "N"; empty: a flag
  std::string_view group;       // its heading in --help; empty: not shown
  std::string_view help;
  bool repeatable = false;
  Status (*set)(std::string_view value, ServeSettings& settings);  // the error says what was expected, without the name
};
std::span<const ServeOption> serve_options();

// An option as it stood on the command line; a flag's value is empty.
struct GivenOption {
  std::string name;
  std::vector<std::string> values;  // one for each time it was given
};

// Reads them all into `settings` and returns every mistake there is, each one line that names the option.
std::vector<std::string> read_serve_options(std::span<const GivenOption> given, ServeSettings& settings);

}  // namespace slipstream
