// Every limit on what a request may say, in one place. What is over one is refused at the door, in words.
#pragma once

#include <cstddef>
#include <cstdint>

namespace slipstream {

inline constexpr size_t kMaxJsonDepth = 64;             // arrays and objects inside each other
inline constexpr size_t kMaxJsonNames = 4096;           // in one object
inline constexpr size_t kMaxJsonValues = 1'000'000;     // in one request: 16 bytes of memory each
inline constexpr size_t kMaxMessages = 4096;
inline constexpr size_t kMaxPrompts = 2048;             // in one completion request
inline constexpr uint32_t kMaxChoices = 128;            // n
inline constexpr size_t kMaxAnswers = 2048;             // prompts x n
inline constexpr size_t kMaxStops = 16;
inline constexpr size_t kMaxStopBytes = 1024;           // each; so much text may be held back
inline constexpr size_t kMaxStopTokens = 128;           // each new token is compared with all of them
inline constexpr size_t kMaxUserBytes = 1024;           // and the other names by which clients keep their books
inline constexpr size_t kMaxCacheSaltBytes = 1024;      // cache_salt
inline constexpr size_t kMaxMessageNameBytes = 256;     // "name" of a message
inline constexpr size_t kMaxTemplateKwargsBytes = 65536; // chat_template_kwargs as JSON
inline constexpr uint32_t kMaxTokensLimit = 0x7fffffff; // max_tokens; the engine shortens it to what the context leaves
inline constexpr uint32_t kMaxTopK = 0x7fffffff;
inline constexpr size_t kMaxDetokenizedBytes = 16 << 20; // what /detokenize answers
inline constexpr double kLeastRepetitionPenalty = 0.01;
inline constexpr double kMaxRepetitionPenalty = 10.0;
inline constexpr double kMaxLogitBias = 100.0;
inline constexpr size_t kMaxLogitBiases = 1024;         // OpenAI's clients send up to 300; each choice has a copy

}  // namespace slipstream
