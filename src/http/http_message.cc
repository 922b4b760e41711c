#include "http/http_message.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <iterator>

namespace slipstream {
namespace {

char lower(char letter) { return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter; }

// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7), whatever the locale.
std::string http_date(int64_t unix_time) {
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const time_t seconds = unix_time;
  tm utc{};
  gmtime_r(&seconds, &utc);
  return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", kDays[utc.tm_wday], utc.tm_mday, kMonths[utc.tm_mon],
                     utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

std::string head_lines(const HttpResponse& response, bool keep_alive, int64_t unix_time) {
  std::string head = fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\nDate: {}\r\nConnection: {}\r\n",
                                 response.status, reason_phrase(response.status), response.content_type,
                                 http_date(unix_time), keep_alive ? "keep-alive" : "close");
  for (const HttpHeader& header : response.headers) head += header.name + ": " + header.value + "\r\n";
  return head;
}

}  // namespace

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view find_header(const std::vector<HttpHeader>& headers, std::string_view name) {
  for (const HttpHeader& header : headers) {
    if (equal_ignoring_case(header.name, name)) return header.value;
  }
  return {};
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 411: return "Length Required";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 503: return "Service Unavailable";
    default: return "Unknown";
  }
}

std::string write_response(const HttpResponse& response, bool keep_alive, int64_t unix_time) {
  std::string bytes = head_lines(response, keep_alive, unix_time);
  fmt::format_to(std::back_inserter(bytes), "Content-Length: {}\r\n\r\n", response.body.size());
  bytes += response.body;
  return bytes;
}

std::string write_stream_head(const HttpResponse& response, bool chunked, bool keep_alive, int64_t unix_time) {
  std::string bytes = head_lines(response, keep_alive && chunked, unix_time);
  bytes += chunked ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n";
  return bytes;
}

}  // namespace slipstream
