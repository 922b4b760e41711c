// Who may ask. Keys are compared in a time that does not depend on how much of a guess is right.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace slipstream {

class ApiKeys {
 public:
  explicit ApiKeys(std::vector<std::string> keys) : keys_(std::move(keys)) {}

  // authorization: the header's value, "Bearer KEY". Without keys everyone may.
  bool admit(std::string_view authorization) const;

 private:
  std::vector<std::string> keys_;
};

}  // namespace slipstream
