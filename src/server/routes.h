// Which path and method is what. One table: a new endpoint is a line here and a case in ServedApi::answer().
#pragma once

#include <cstdint>
#include <string_view>

namespace slipstream {

enum class Route : uint8_t {
  kUnknown,      // 404
  kWrongMethod,  // 405
  kChat,
  kCompletions,
  kTokenize,
  kDetokenize,
  kModels,
  kModel,        // /v1/models/{id}
  kCacheStats,
  kClearCache,
  kHealth,
  kReady,
  kVersion,
  kMetrics,
  kOptions,      // OPTIONS of a path that is there
};

struct RouteMatch {
  Route route = Route::kUnknown;
  bool open = false;              // answered without a key; everything else needs one, unknown paths too
  std::string_view rest;          // kModel: the id, which may have slashes
  std::string_view method;        // kWrongMethod, kOptions: the one that would do
  std::string_view allow;         // ... and all that would, for the header Allow
};

// HEAD is a GET of which only the head is sent. OPTIONS of "/" or "*", which load balancers ask when nobody told them
// a path (HAProxy), is kReady.
RouteMatch match_route(std::string_view method, std::string_view path);

}  // namespace slipstream
