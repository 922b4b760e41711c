// `slipstream serve` as a child of this process, on a free port: for benchmarks that ask over HTTP. It ends with the
// object, and with this process.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "http/http_client.h"

namespace slipstream {

class ChildServer {
 public:
  // The same program with "serve" and these arguments, and a port; waits until it takes requests. Error: it ended
  // before, with what it said.
  static Result<std::unique_ptr<ChildServer>> start(const std::vector<std::string>& arguments);
  ~ChildServer();  // asks it to end, and waits
  ChildServer(const ChildServer&) = delete;
  ChildServer& operator=(const ChildServer&) = delete;

  const HttpAddress& address() const { return address_; }

 private:
  explicit ChildServer(int pid) : pid_(pid) {}

  const int pid_;
  HttpAddress address_;
};

}  // namespace slipstream
