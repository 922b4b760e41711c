#include "server/metrics_page.h"

#include <fmt/format.h>

#include <iterator>

#include "api/json_text.h"

namespace slipstream {
namespace {

class MetricsWriter {
 public:
  // labels: of every sample, 'name="value",...'.
  explicit MetricsWriter(std::string labels) : labels_(std::move(labels)) {}

  void gauge(std::string_view name, std::string_view help, double value) { one(name, "gauge", help, value); }
  // name: with _total.
  void counter(std::string_view name, std::string_view help, uint64_t value) { one(name, "counter", help, value); }

  void head(std::string_view name, std::string_view type, std::string_view help) {
    fmt::format_to(std::back_inserter(text_), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  }
  // more: further labels, ',name="value"'.
  template <class Value>
  void sample(std::string_view name, std::string_view more, Value value) {
    fmt::format_to(std::back_inserter(text_), "{}{{{}{}}} {}\n", name, labels_, more, value);
  }

  void histogram(std::string_view name, std::string_view help, const LatencyHistogram& values) {
    head(name, "histogram", help);
    const std::string bucket = fmt::format("{}_bucket", name);
    uint64_t so_far = 0;
    for (size_t index = 0; index < values.bounds().size(); ++index) {
      so_far += values.count_in(index);
      sample(bucket, fmt::format(R"(,le="{:#}")", values.bounds()[index]), so_far);
    }
    sample(bucket, R"(,le="+Inf")", values.count());
    sample(fmt::format("{}_count", name), "", values.count());
    sample(fmt::format("{}_sum", name), "", values.sum_s());
  }

  std::string take() { return std::move(text_); }

 private:
  template <class Value>
  void one(std::string_view name, std::string_view type, std::string_view help, Value value) {
    head(name, type, help);
    sample(name, "", value);
  }

  const std::string labels_;
  std::string text_;
};

// A label's value: \, " and line breaks are escaped (nothing else can be), and what is not UTF-8 is replaced. JSON's
// string has these escapes too; those it has besides stand for control characters, which become spaces before.
std::string label_value(std::string_view text) {
  std::string plain(text);
  for (char& c : plain) {
    if (static_cast<unsigned char>(c) < ' ' && c != '\n') c = ' ';
  }
  return json_string(plain);
}

void write_engine(MetricsWriter& writer, const EngineStats& stats) {
  writer.gauge("vllm:num_requests_running", "Requests that are being computed.", stats.num_running);
  writer.gauge("vllm:num_requests_waiting", "Requests in the queue.", stats.num_waiting);
  const double usage = stats.blocks_total == 0 ? 0 : static_cast<double>(stats.blocks_in_use) / stats.blocks_total;
  writer.gauge("vllm:kv_cache_usage_perc", "KV blocks that requests hold, as a fraction: 1 is all of them.", usage);
  writer.gauge("vllm:gpu_cache_usage_perc", "The older name of vllm:kv_cache_usage_perc.", usage);
  writer.counter("vllm:prefix_cache_queries_total", "Prompt tokens that were looked for in the prefix cache.",
                 stats.num_queried_tokens);
  writer.counter("vllm:prefix_cache_hits_total", "Prompt tokens that were found in the prefix cache.",
                 stats.num_cached_tokens);
  writer.counter("vllm:gpu_prefix_cache_queries_total", "The older name of vllm:prefix_cache_queries_total.",
                 stats.num_queried_tokens);
  writer.counter("vllm:gpu_prefix_cache_hits_total", "The older name of vllm:prefix_cache_hits_total.",
                 stats.num_cached_tokens);
  writer.counter("vllm:num_preemptions_total", "Times that a request was sent back to wait for KV blocks.",
                 stats.num_preemptions);
  writer.counter("vllm:prompt_tokens_total", "Prompt tokens of answers that have begun, cached ones too.",
                 stats.num_prompt_tokens);
  writer.counter("vllm:generation_tokens_total", "Tokens drawn for answers.", stats.num_sampled);

  writer.counter("vllm:spec_decode_num_drafts_total",
                 "Times that an answer's next tokens were guessed and verified in one step (--speculative).",
                 stats.num_drafts);
  writer.counter("vllm:spec_decode_num_draft_tokens_total", "Tokens that were guessed so.", stats.num_draft_tokens);
  writer.counter("vllm:spec_decode_num_accepted_tokens_total", "Guessed tokens that became part of an answer.",
                 stats.num_accepted_tokens);

  constexpr std::string_view kEnded = "vllm:request_success_total";
  writer.head(kEnded, "counter", "Answers that ended, by reason: each choice of each prompt is one.");
  writer.sample(kEnded, R"(,finished_reason="stop")", stats.num_stopped);
  writer.sample(kEnded, R"(,finished_reason="length")", stats.num_ended - stats.num_stopped - stats.num_failed);
  writer.sample(kEnded, R"(,finished_reason="abort")", stats.num_cancelled);
  writer.sample(kEnded, R"(,finished_reason="error")", stats.num_failed);

  writer.histogram("vllm:request_queue_time_seconds", "From a request's arrival to the step that admits it.",
                   stats.queue_time);
  writer.histogram("vllm:time_to_first_token_seconds", "From a request's arrival to its first token.",
                   stats.time_to_first_token);
  writer.histogram("vllm:inter_token_latency_seconds", "Between two tokens of an answer.", stats.inter_token_latency);
  writer.histogram("vllm:e2e_request_latency_seconds", "From a request's arrival to its last token.",
                   stats.whole_answer);

  writer.counter("slipstream_steps_total", "Steps of the engine.", stats.num_steps);
  writer.counter("slipstream_rows_total", "Tokens computed, of prompts and answers.", stats.num_rows);
  writer.gauge("slipstream_last_step_seconds", "How long the last step took.", stats.last_step_ms / 1000);
  writer.gauge("slipstream_kv_blocks_remembered", "KV blocks whose content can be found again.",
               stats.blocks_remembered);
  constexpr std::string_view kLookups = "slipstream_cache_requests_total";
  writer.head(kLookups, "counter", "Requests by what of their prompt was cached: all but the last token, some, none.");
  writer.sample(kLookups, R"(,status="hit")", stats.cache.hits);
  writer.sample(kLookups, R"(,status="prefix_hit")", stats.cache.prefix_hits);
  writer.sample(kLookups, R"(,status="miss")", stats.cache.misses);
  writer.counter("slipstream_cache_evictions_total", "Cached KV blocks that were forgotten for want of room.",
                 stats.cache.evictions);
  writer.gauge("slipstream_disk_cache_blocks", "KV blocks of this model on the disk.",
               static_cast<double>(stats.disk.blocks));
  writer.gauge("slipstream_disk_cache_bytes", "Bytes of all files of the cache on the disk.",
               static_cast<double>(stats.disk.bytes));
  writer.counter("slipstream_disk_cache_hits_total", "KV blocks that came back from the disk.", stats.disk.hits);
  writer.counter("slipstream_disk_cache_writes_total", "KV blocks that were written to the disk.", stats.disk.writes);
  writer.counter("slipstream_disk_cache_errors_total",
                 "KV blocks whose file could not be written, or was not what it should be.", stats.disk.errors);
}

}  // namespace

std::string write_metrics(const MetricsInput& input) {
  MetricsWriter writer(fmt::format("model_name={}", label_value(input.model_name)));
  write_engine(writer, input.engine);
  if (input.loaded) {
    constexpr std::string_view kConfig = "vllm:cache_config_info";
    writer.head(kConfig, "gauge", "The KV pool: tokens in a block, and how many blocks (of main memory).");
    writer.sample(kConfig,
                  fmt::format(R"(,block_size="{}",num_gpu_blocks="{}")", input.engine.block_tokens,
                              input.engine.blocks_total),
                  1);
  }
  constexpr std::string_view kBuild = "slipstream_build_info";
  writer.head(kBuild, "gauge", "The program's version.");
  writer.sample(kBuild, fmt::format(",version={}", label_value(input.version)), 1);
  constexpr std::string_view kResponses = "slipstream_http_responses_total";
  writer.head(kResponses, "counter", "Answers over HTTP, by status.");
  for (const auto& [status, number] : input.responses) {
    writer.sample(kResponses, fmt::format(R"(,code="{}")", status), number);
  }
  return writer.take();
}

}  // namespace slipstream
