// Which of OpenAI's two endpoints an answer is for.
#pragma once

#include <cstdint>

namespace slipstream {

enum class AnswerKind : uint8_t { kChat, kText };

}  // namespace slipstream
