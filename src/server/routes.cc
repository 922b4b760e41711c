#include "server/routes.h"

namespace slipstream {
namespace {

struct Entry {
  std::string_view method;
  std::string_view path;
  Route route;
  bool open = false;
  bool is_prefix = false;  // the path goes on, by at least one byte
};

constexpr Entry kRoutes[] = {
    {"POST", "/v1/chat/completions", Route::kChat},
    {"POST", "/v1/completions", Route::kCompletions},
    {"POST", "/tokenize", Route::kTokenize},
    {"POST", "/detokenize", Route::kDetokenize},
    {"GET", "/v1/models", Route::kModels},
    {"GET", "/v1/models/", Route::kModel, false, true},
    {"GET", "/v1/cache/stats", Route::kCacheStats},
    {"DELETE", "/v1/cache", Route::kClearCache},
    {"GET", "/health", Route::kHealth, true},
    {"GET", "/ready", Route::kReady, true},
    {"GET", "/version", Route::kVersion, true},
    {"GET", "/metrics", Route::kMetrics, true},
};

// All that would do where this one does, for the header Allow.
constexpr std::string_view allow_of(std::string_view method) {
  if (method == "GET") return "GET, HEAD, OPTIONS";
  if (method == "DELETE") return "DELETE, OPTIONS";
  return "POST, OPTIONS";
}

}  // namespace

RouteMatch match_route(std::string_view method, std::string_view path) {
  RouteMatch match;
  if (method == "OPTIONS" && (path == "/" || path == "*")) {
    match.route = Route::kReady;
    match.open = true;
    return match;
  }
  for (const Entry& entry : kRoutes) {
    const bool goes_on = path.size() > entry.path.size() && path.starts_with(entry.path);
    const bool here = entry.is_prefix ? goes_on : path == entry.path;
    if (!here) continue;
    const bool is_get = entry.method == "GET";
    match.open = entry.open;
    if (entry.is_prefix) match.rest = path.substr(entry.path.size());
    if (method == entry.method || (is_get && method == "HEAD")) {
      match.route = entry.route;
      return match;
    }
    match.route = Route::kWrongMethod;
    match.method = entry.method;
    match.allow = allow_of(entry.method);
    if (method == "OPTIONS") {  // tells nothing that is not public; a browser asks it before it may send a key
      match.route = Route::kOptions;
      match.open = true;
    }
    return match;
  }
  return match;
}

}  // namespace slipstream
