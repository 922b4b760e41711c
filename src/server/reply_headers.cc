#include "server/reply_headers.h"

#include <algorithm>
#include <utility>

namespace slipstream {
namespace {

constexpr size_t kMostIdBytes = 128;
constexpr size_t kMostHeaderNames = 1024;  // bytes of a list of them

bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= ' ' && c < 0x7f; });
}

// "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" (W3C Trace Context, 3.2): version, trace, parent, flags.
bool is_traceparent(std::string_view text) {
  constexpr size_t kLength = 55;
  constexpr size_t kDashes[] = {2, 35, 52};
  if (text.size() != kLength) return false;
  for (size_t i = 0; i < kLength; ++i) {
    const bool is_hex = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
    if (std::ranges::count(kDashes, i) > 0 ? text[i] != '-' : !is_hex) return false;
  }
  return true;
}

}  // namespace

std::vector<HttpHeader> ReplyHeaders::of(const std::vector<HttpHeader>& request, std::string own_id) const {
  std::vector<HttpHeader> headers;
  const std::string_view id = find_header(request, "X-Request-Id");
  const bool keeps_id = !id.empty() && id.size() <= kMostIdBytes && is_printable(id);
  headers.push_back({"X-Request-Id", keeps_id ? std::string(id) : std::move(own_id)});
  if (const std::string_view trace = find_header(request, "traceparent"); is_traceparent(trace)) {
    headers.push_back({"traceparent", std::string(trace)});
  }
  if (allowed_origins_.empty()) return headers;
  headers.push_back({"Vary", "Origin"});  // for caches: to another origin the answer has other headers
  const std::string_view origin = find_header(request, "Origin");
  if (origin.empty() || !allows(origin)) return headers;
  headers.push_back({"Access-Control-Allow-Origin", std::string(origin)});
  headers.push_back({"Access-Control-Expose-Headers", "X-Request-Id, Retry-After"});
  return headers;
}

std::vector<HttpHeader> ReplyHeaders::preflight(const std::vector<HttpHeader>& request,
                                                std::string_view methods) const {
  const std::string_view origin = find_header(request, "Origin");
  if (origin.empty() || !allows(origin) || find_header(request, "Access-Control-Request-Method").empty()) return {};
  // A page may send any header: keys travel in Authorization, which no browser adds by itself, and never in cookies.
  const std::string_view names = find_header(request, "Access-Control-Request-Headers");
  const bool can_repeat = !names.empty() && names.size() <= kMostHeaderNames && is_printable(names);
  return {{"Access-Control-Allow-Methods", std::string(methods)},
          {"Access-Control-Allow-Headers", can_repeat ? std::string(names) : "Authorization, Content-Type"},
          {"Access-Control-Max-Age", "600"}};
}

bool ReplyHeaders::allows(std::string_view origin) const {
  return is_printable(origin) && std::ranges::any_of(allowed_origins_, [origin](const std::string& allowed) {
           return allowed == "*" || allowed == origin;
         });
}

}  // namespace slipstream
