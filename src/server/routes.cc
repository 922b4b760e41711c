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
    {"GET", "/v1/models", Route::kModels},
    {"GET", "/v1/models/", Route::kModel, false, true},
    {"GET", "/health", Route::kHealth, true},
    {"GET", "/ready", Route::kReady, true},
    {"GET", "/version", Route::kVersion, true},
};

}  // namespace

RouteMatch match_route(std::string_view method, std::string_view path) {
  RouteMatch match;
  for (const Entry& entry : kRoutes) {
    const bool goes_on = path.size() > entry.path.size() && path.starts_with(entry.path);
    const bool here = entry.is_prefix ? goes_on : path == entry.path;
    if (!here) continue;
    match.open = entry.open;
    if (entry.is_prefix) match.rest = path.substr(entry.path.size());
    match.route = method == entry.method ? entry.route : Route::kWrongMethod;
    if (match.route == Route::kWrongMethod) match.allow = entry.method;
    return match;
  }
  return match;
}

}  // namespace slipstream
