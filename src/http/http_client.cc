#include "http/http_client.h"

#include <charconv>
#include <utility>

namespace slipstream {
namespace {

constexpr size_t kChunkBytes = 64 << 10;

std::string authority_of(const HttpAddress& address) {
  const bool is_ip6 = address.host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", is_ip6 ? "[" : "", address.host, is_ip6 ? "]" : "", address.port);
}

}  // namespace

Result<HttpAddress> read_http_address(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  constexpr uint16_t kUsualPort = 80;
  const auto refusal = [url] { return invalid("expected http://HOST:PORT, not '{}'", url); };
  if (!url.starts_with(kScheme)) return refusal();
  std::string_view rest = url.substr(kScheme.size());
  if (rest.ends_with('/')) rest.remove_suffix(1);
  HttpAddress address;
  size_t host_end = rest.find(':');
  if (rest.starts_with('[')) {
    const size_t bracket = rest.find(']');
    if (bracket == std::string_view::npos) return refusal();
    address.host = rest.substr(1, bracket - 1);
    host_end = bracket + 1;
  } else {
    address.host = rest.substr(0, host_end);
  }
  const std::string_view port = host_end < rest.size() ? rest.substr(host_end) : std::string_view();
  address.port = kUsualPort;
  if (!port.empty()) {
    const auto [end, fault] = std::from_chars(port.data() + 1, port.data() + port.size(), address.port);
    if (!port.starts_with(':') || fault != std::errc() || end != port.data() + port.size()) return refusal();
  }
  if (address.host.empty() || address.host.find_first_of("/?#@ ") != std::string::npos) return refusal();
  return address;
}

std::string write_call(const HttpCall& call, const HttpAddress& address) {
  std::string bytes = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\n", call.method, call.path, authority_of(address));
  for (const HttpHeader& header : call.headers) bytes += fmt::format("{}: {}\r\n", header.name, header.value);
  if (!call.body.empty()) {
    bytes += fmt::format("Content-Type: application/json\r\nContent-Length: {}\r\n", call.body.size());
  }
  return bytes + "\r\n" + call.body;
}

HttpClient::HttpClient(const Connector& connector)
    : connector_(connector), chunk_(std::make_unique<char[]>(kChunkBytes)) {}
HttpClient::~HttpClient() = default;

Task<Result<int>> HttpClient::ask(std::string_view call) {
  while (true) {
    answer_ = AnswerParser();
    events_ = EventReader();
    received_.clear();
    const bool is_fresh = socket_ == nullptr;
    if (is_fresh) {
      const Status connected = co_await connect();
      if (!connected.ok()) co_return connected.error();
    }
    Status went_on = co_await send(call);
    while (went_on.ok() && !answer_.has_head()) went_on = co_await read_some();
    if (went_on.ok()) co_return answer_.status();
    socket_.reset();
    // Whoever closes an idle connection has not read what came later.
    if (is_fresh || cut_ || !received_.empty()) co_return went_on.error();
  }
}

Task<Result<bool>> HttpClient::receive() {
  if (answer_.done()) {
    if (!answer_.keeps_alive()) socket_.reset();
    co_return false;
  }
  const Status read = co_await read_some();
  if (read.ok()) co_return true;
  socket_.reset();
  co_return read.error();
}

std::optional<std::string> HttpClient::next_event() {
  if (!answer_.body().empty()) {
    events_.add(answer_.body());
    answer_.body().clear();
  }
  return events_.next();
}

std::string HttpClient::take_body() { return std::exchange(answer_.body(), {}); }

void HttpClient::cut() {
  cut_ = true;
  if (socket_) socket_->close();
}

Task<Status> HttpClient::connect() {
  Result<Socket> connected = co_await connector_.connect();
  if (!connected.ok()) co_return std::move(connected).error();
  socket_ = std::make_unique<Socket>(std::move(connected).value());
  co_return ok_status();
}

Task<Status> HttpClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const IoResult written = co_await socket_->write_some(bytes);
    if (written.failed) co_return lost();
    bytes.remove_prefix(written.bytes);
  }
  co_return ok_status();
}

// Some more of the answer, or its end where it ends with the connection.
Task<Status> HttpClient::read_some() {
  const IoResult read = co_await socket_->read_some({chunk_.get(), kChunkBytes});
  if (read.failed) co_return lost();
  if (read.bytes == 0) co_return answer_.end();
  received_.append(chunk_.get(), read.bytes);
  while (true) {
    const Result<size_t> taken = answer_.take(received_);
    if (!taken.ok()) co_return taken.error();
    if (*taken == 0) co_return ok_status();
    received_.erase(0, *taken);
  }
}

Error HttpClient::lost() const {
  return cut_ ? outside("the server was silent for too long") : outside("the server closed the connection");
}

}  // namespace slipstream
