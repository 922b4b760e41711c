#include "server/metrics_page.h"

#include <gtest/gtest.h>

namespace slipstream {
namespace {

bool has_line(const std::string& page, const std::string& line) {
  return page.starts_with(line + "\n") || page.find("\n" + line + "\n") != std::string::npos;
}

TEST(MetricsPage, numbers_of_the_engine_stand_under_their_names) {
  MetricsInput input{
      .engine = {}, .loaded = true, .model_name = "m", .version = "1.2.3", .responses = {{200, 5}, {429, 2}}};
  input.engine.num_running = 3;
  input.engine.num_waiting = 4;
  input.engine.blocks_in_use = 5;
  input.engine.blocks_total = 20;
  input.engine.block_tokens = 64;
  input.engine.num_drafts = 31;
  input.engine.num_draft_tokens = 32;
  input.engine.num_accepted_tokens = 30;
  input.engine.num_ended = 10;
  input.engine.num_stopped = 6;
  input.engine.num_failed = 1;
  input.engine.num_cancelled = 2;
  input.engine.cache = {.hits = 7, .prefix_hits = 8, .misses = 9, .evictions = 11};
  const std::string page = write_metrics(input);
  for (const char* line :
       {"# TYPE vllm:num_requests_running gauge", R"(vllm:num_requests_running{model_name="m"} 3)",
        R"(vllm:num_requests_waiting{model_name="m"} 4)", R"(vllm:kv_cache_usage_perc{model_name="m"} 0.25)",
        R"(vllm:spec_decode_num_drafts_total{model_name="m"} 31)",
        R"(vllm:spec_decode_num_draft_tokens_total{model_name="m"} 32)",
        R"(vllm:spec_decode_num_accepted_tokens_total{model_name="m"} 30)",
        R"(vllm:request_success_total{model_name="m",finished_reason="stop"} 6)",
        R"(vllm:request_success_total{model_name="m",finished_reason="length"} 3)",
        R"(vllm:request_success_total{model_name="m",finished_reason="abort"} 2)",
        R"(vllm:request_success_total{model_name="m",finished_reason="error"} 1)",
        R"(vllm:cache_config_info{model_name="m",block_size="64",num_gpu_blocks="20"} 1)",
        R"(slipstream_cache_requests_total{model_name="m",status="hit"} 7)",
        R"(slipstream_cache_requests_total{model_name="m",status="prefix_hit"} 8)",
        R"(slipstream_cache_requests_total{model_name="m",status="miss"} 9)",
        R"(slipstream_cache_evictions_total{model_name="m"} 11)",
        R"(slipstream_build_info{model_name="m",version="1.2.3"} 1)",
        R"(slipstream_http_responses_total{model_name="m",code="429"} 2)"}) {
    EXPECT_TRUE(has_line(page, line)) << line << "\n" << page;
  }
}

TEST(MetricsPage, a_histograms_buckets_add_up) {
  MetricsInput input;
  for (const double seconds : {0.005, 0.02, 0.01, 1.0, 100.0}) input.engine.inter_token_latency.add(seconds);
  const std::string page = write_metrics(input);
  const std::string name = "vllm:inter_token_latency_seconds";
  EXPECT_TRUE(has_line(page, "# TYPE " + name + " histogram"));
  EXPECT_TRUE(has_line(page, name + R"(_bucket{model_name="",le="0.01"} 2)")) << page;  // at most: the bound itself too
  EXPECT_TRUE(has_line(page, name + R"(_bucket{model_name="",le="0.025"} 3)"));
  EXPECT_TRUE(has_line(page, name + R"(_bucket{model_name="",le="1.0"} 4)"));
  EXPECT_TRUE(has_line(page, name + R"(_bucket{model_name="",le="80.0"} 4)"));
  EXPECT_TRUE(has_line(page, name + R"(_bucket{model_name="",le="+Inf"} 5)"));
  EXPECT_TRUE(has_line(page, name + R"(_count{model_name=""} 5)"));
  EXPECT_TRUE(has_line(page, name + R"(_sum{model_name=""} 101.035)"));
}

TEST(MetricsPage, no_name_of_a_model_breaks_a_line) {
  MetricsInput input;
  input.model_name = "a\"b\\c\nd\re\tf\xffg";
  const std::string page = write_metrics(input);
  EXPECT_TRUE(has_line(page, "vllm:num_requests_running{model_name=\"a\\\"b\\\\c\\nd e f\xEF\xBF\xBDg\"} 0")) << page;
}

TEST(MetricsPage, while_the_model_loads_all_is_zero_and_the_pool_is_not_described) {
  const std::string page = write_metrics(MetricsInput());
  EXPECT_TRUE(has_line(page, R"(vllm:kv_cache_usage_perc{model_name=""} 0)")) << page;
  EXPECT_EQ(page.find("cache_config_info"), std::string::npos);
}

}  // namespace
}  // namespace slipstream
