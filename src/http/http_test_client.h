// A blocking client for tests: raw bytes over a loopback socket, so that tests can be as rude as they like.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

namespace slipstream {

class HttpTestClient {
 public:
  // receive_buffer > 0: the kernel holds only about so much for us.
  explicit HttpTestClient(uint16_t port, int receive_buffer = 0) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int one = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (receive_buffer > 0) setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  ~HttpTestClient() { leave(); }
  HttpTestClient(HttpTestClient&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), connected_(other.connected_), received_(std::move(other.received_)) {}
  HttpTestClient& operator=(HttpTestClient&&) = delete;

  bool connected() const { return connected_; }
  int fd() const { return fd_; }

  void leave() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
  }

  // false: the server has closed.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }

  // More bytes into received(); false: the end, or nothing for timeout_ms.
  bool receive(int timeout_ms = 20'000) {
    pollfd wait{fd_, POLLIN, 0};
    if (poll(&wait, 1, timeout_ms) != 1) return false;
    char chunk[65536];
    const ssize_t count = recv(fd_, chunk, sizeof chunk, 0);
    if (count <= 0) return false;
    received_.append(chunk, static_cast<size_t>(count));
    return true;
  }
  std::string& received() { return received_; }

  // Takes everything up to and with `mark` off received(); empty when it does not come.
  std::string take_until(std::string_view mark, int timeout_ms = 20'000) {
    while (received_.find(mark) == std::string::npos) {
      if (!receive(timeout_ms)) return {};
    }
    return take(received_.find(mark) + mark.size());
  }

  // One whole response: head and body (Content-Length or chunked as sent). Empty when it does not come.
  std::string take_response(int timeout_ms = 20'000) {
    std::string head = take_until("\r\n\r\n", timeout_ms);
    if (const size_t at = head.find("Content-Length: "); at != std::string::npos) {
      const size_t length = std::strtoull(head.c_str() + at + 16, nullptr, 10);
      while (received_.size() < length) {
        if (!receive(timeout_ms)) return {};
      }
      return head + take(length);
    }
    if (head.find("chunked") != std::string::npos) return head + take_until("0\r\n\r\n", timeout_ms);
    return head;
  }

  // Everything until the server closes.
  std::string take_all(int timeout_ms = 20'000) {
    while (receive(timeout_ms)) {
    }
    return take(received_.size());
  }

  // True when the server has closed (nothing more to read).
  bool closed_by_server(int timeout_ms = 20'000) {
    while (true) {
      pollfd wait{fd_, POLLIN, 0};
      if (poll(&wait, 1, timeout_ms) != 1) return false;
      char chunk[4096];
      if (recv(fd_, chunk, sizeof chunk, 0) <= 0) return true;
    }
  }

 private:
  std::string take(size_t count) {
    std::string taken = received_.substr(0, count);
    received_.erase(0, count);
    return taken;
  }

  int fd_;
  bool connected_ = false;
  std::string received_;
};

}  // namespace slipstream
