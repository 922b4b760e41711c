// The page /metrics: numbers in Prometheus' text format, version 0.0.4.
//
// The names that begin with vllm: are those of vLLM (v1/metrics/loggers.py), with its types, units and meanings,
// because routers and autoscalers read them: the Gateway API inference extension and llm-d (num_requests_waiting,
// num_requests_running, kv_cache_usage_perc, cache_config_info), and vLLM's production-stack, which still reads the
// three older names with gpu_ in them. What vLLM has no name for begins with slipstream_.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "engine/engine_stats.h"

namespace slipstream {

inline constexpr std::string_view kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

struct MetricsInput {
  EngineStats engine;                  // zeros while the model is loading
  bool loaded = false;
  std::string_view model_name;
  std::string_view version;            // of the program
  std::map<int, uint64_t> responses;   // number of answers that were begun, by HTTP status
};

std::string write_metrics(const MetricsInput& input);

}  // namespace slipstream
