// What /tokenize and /detokenize answer: a body, or why not. Any thread; long texts take long, so: text threads.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "server/server.h"

namespace slipstream {

Result<std::string> tokenize_page(std::string_view body, const ServedModel& model, std::string_view served_name);
Result<std::string> detokenize_page(std::string_view body, const ServedModel& model, std::string_view served_name);

}  // namespace slipstream
