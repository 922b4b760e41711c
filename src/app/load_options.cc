#include "app/load_options.h"

#include <CLI/CLI.hpp>

#include "http/http_client.h"

namespace slipstream {
namespace {

constexpr uint32_t kMostTokens = 1u << 20;
constexpr uint32_t kMostStreams = 4096;

void add_count(CLI::App& command, const char* name, uint32_t& count, uint32_t most, const char* help) {
  command.add_option(name, count, help)->check(CLI::Range(1u, most))->capture_default_str();
}

void add_counts(CLI::App& command, const char* name, std::vector<uint32_t>& counts, uint32_t most, const char* help) {
  command.add_option(name, counts, help)
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(1u, most))
      ->capture_default_str();
}

void add_common(CLI::App& command, LoadOptions& options) {
  add_count(command, "--prompt-tokens", options.prompt_tokens, kMostTokens, "tokens of each prompt");
  add_count(command, "--max-tokens", options.max_tokens, kMostTokens, "tokens of each answer");
  add_count(command, "--rounds", options.rounds, 1000, "what is compared takes turns so often; figures are medians");
}

}  // namespace

void add_serve_options(CLI::App& command, LoadOptions& options) {
  add_common(command, options);
  const auto is_url = [](const std::string& text) {
    const auto address = read_http_address(text);
    return address.ok() ? std::string() : address.error().message;
  };
  CLI::Option* const url =
      command.add_option("--url", options.url, "a running server, http://HOST:PORT, in place of MODEL")->check(is_url);
  command.add_option("--api-key", options.api_key, "its key")->needs(url);
  command.add_flag("--chat", options.chat,
                   "chats of made-up words (--prompt-tokens of them), in place of completions of made-up tokens");
  add_counts(command, "--concurrency", options.streams, kMostStreams, "streams at a time, one number or several");
  command.add_option("--request-rate", options.request_rate,
                     "so many requests a second at random times, in place of --concurrency")
      ->check(CLI::Range(1e-3, 1e5))
      ->excludes("--concurrency");
  command.add_option("--requests", options.num_requests, "requests of a round (default: two for each stream; 32)")
      ->check(CLI::Range(1u, 1'000'000u));
  command.add_option("--seed", options.seed, "of prompts and times")->capture_default_str();
}

void add_interval_options(CLI::App& command, LoadOptions& options) {
  add_common(command, options);
  add_counts(command, "--intervals", options.intervals, 65536, "values of --stream-interval");
  add_count(command, "--streams", options.interval_streams, kMostStreams, "answers at a time");
}

void add_simple_options(CLI::App& command, LoadOptions& options) {
  options.prompt_tokens = 512;
  add_common(command, options);
}

}  // namespace slipstream
