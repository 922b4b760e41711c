// Every limit on what a request may say, in one place. What is over one is refused at the door, in words.
#pragma once

#include <cstddef>
#include <cstdint>

namespace slipstream {

inline constexpr size_t kMaxJsonDepth = 64;             // arrays and objects inside each other
inline constexpr size_t kMaxJsonNames = 256;            // in one object
inline constexpr size_t kMaxJsonValues = 1'000'000;     // in one request: 16 bytes of memory each
inline constexpr size_t kMaxMessages = 4096;
inline constexpr size_t kMaxPrompts = 2048;             // in one completion request
inline constexpr uint32_t kMaxChoices = 128;            // n
inline constexpr size_t kMaxAnswers = 2048;             // prompts x n
inline constexpr size_t kMaxStops = 16;
inline constexpr size_t kMaxStopBytes = 1024;           // each; so much text may be held back
inline constexpr size_t kMaxUserBytes = 1024;
inline constexpr uint32_t kMaxTokensLimit = 0x7fffffff; // max_tokens; the engine shortens it to what the context leaves
inline constexpr uint32_t kMaxTopK = 0x7fffffff;
inline constexpr double kLeastRepetitionPenalty = 0.01;
inline constexpr double kMaxRepetitionPenalty = 10.0;
inline constexpr double kMaxLogitBias = 100.0;

}  // namespace slipstream
