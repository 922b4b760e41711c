#include "server/routes.h"

#include <gtest/gtest.h>

#include <string>

namespace slipstream {
namespace {

TEST(Routes, open_are_these_and_no_others) {
  const char* open[] = {"/health", "/ready", "/version", "/metrics"};
  for (const char* path : open) EXPECT_TRUE(match_route("GET", path).open) << path;
  const char* closed[] = {"/",        "/v1/models", "/v1/models/m", "/v1/chat/completions", "/nothing", "",
                          "//health", "/health/",   "/HEALTH",      "/metrics/x",           "/v1/cache/stats"};
  for (const char* path : closed) {
    EXPECT_FALSE(match_route("GET", path).open) << path;
    EXPECT_FALSE(match_route("POST", path).open) << path;
  }
}

TEST(Routes, head_is_a_get_and_not_a_post) {
  EXPECT_EQ(match_route("HEAD", "/v1/models").route, Route::kModels);
  EXPECT_EQ(match_route("HEAD", "/health").route, Route::kHealth);
  EXPECT_EQ(match_route("HEAD", "/v1/completions").route, Route::kWrongMethod);
}

TEST(Routes, a_wrong_method_is_told_the_right_ones) {
  EXPECT_EQ(match_route("GET", "/v1/completions").allow, "POST, OPTIONS");
  EXPECT_EQ(match_route("DELETE", "/v1/models/m").allow, "GET, HEAD, OPTIONS");
  EXPECT_EQ(match_route("PUT", "/health").method, "GET");
  EXPECT_EQ(match_route("GET", "/v1/cache").allow, "DELETE, OPTIONS");
  EXPECT_EQ(match_route("DELETE", "/v1/cache/stats").allow, "GET, HEAD, OPTIONS");
  EXPECT_EQ(match_route("get", "/health").route, Route::kWrongMethod);
}

TEST(Routes, options_needs_no_key_where_something_is) {
  const RouteMatch match = match_route("OPTIONS", "/v1/chat/completions");
  EXPECT_EQ(match.route, Route::kOptions);
  EXPECT_TRUE(match.open);
  EXPECT_FALSE(match_route("OPTIONS", "/nothing").open);
  for (const char* path : {"/", "*"}) EXPECT_EQ(match_route("OPTIONS", path).route, Route::kReady);
  EXPECT_EQ(match_route("GET", "/").route, Route::kUnknown);
}

TEST(Routes, the_cache_is_deleted_with_a_key_and_by_no_other_method) {
  EXPECT_EQ(match_route("DELETE", "/v1/cache").route, Route::kClearCache);
  EXPECT_FALSE(match_route("DELETE", "/v1/cache").open);
  for (const char* method : {"GET", "HEAD", "POST", "PUT", "delete"}) {
    EXPECT_EQ(match_route(method, "/v1/cache").route, Route::kWrongMethod) << method;
  }
  EXPECT_EQ(match_route("DELETE", "/v1/cache/stats").route, Route::kWrongMethod);
  EXPECT_EQ(match_route("GET", "/v1/cache/stats").route, Route::kCacheStats);
}

TEST(Routes, a_models_id_may_have_slashes_and_is_not_empty) {
  EXPECT_EQ(match_route("GET", "/v1/models/org/name").rest, "org/name");
  EXPECT_EQ(match_route("GET", "/v1/models/").route, Route::kUnknown);
}

}  // namespace
}  // namespace slipstream
