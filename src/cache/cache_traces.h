// For this room's tests and bench/cache_traces: what a day of requests looks like to the ledger, drawn from a seed, and
// how much of their prompts it has.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "cache/kv_ledger.h"

namespace slipstream {

enum class TraceKind : uint8_t { kChats, kAgents, kScans, kMix };
struct NamedTrace {
  TraceKind kind;
  std::string_view name;
};
inline constexpr NamedTrace kTraces[] = {{TraceKind::kChats, "chats"},
                                         {TraceKind::kAgents, "agents"},
                                         {TraceKind::kScans, "scans"},
                                         {TraceKind::kMix, "mix"}};

struct TraceRequest {
  std::vector<TokenId> prompt;
  std::vector<TokenId> whole;  // with the answer
};

class CacheTrace {
 public:
  CacheTrace(TraceKind kind, uint32_t seed) : kind_(kind), random_(seed), chats_(kNumChats) {
    for (Chat& chat : chats_) chat = {.text = num_texts_++, .num_tokens = 0};
  }

  TraceRequest next() {
    ++num_requests_;
    switch (kind_) {
      case TraceKind::kChats: return chat(some_chat());
      case TraceKind::kAgents: return agent();
      // Twenty chats, two turns each; then two hundred documents that nobody asks for again.
      case TraceKind::kScans: return num_requests_ % 240 < 40 ? chat(num_requests_ % 20) : document();
      case TraceKind::kMix: break;
    }
    const uint32_t which = draw(0, 9);
    return which < 4 ? chat(some_chat()) : which < 7 ? agent() : document();
  }

 private:
  static constexpr uint32_t kNumChats = 120;
  static constexpr uint32_t kSystemPromptTokens = 6000;
  struct Chat {
    uint32_t text = 0;
    uint32_t num_tokens = 0;
  };

  // Some write often and some seldom.
  uint32_t some_chat() { return draw(0, draw(0, draw(0, kNumChats - 1))); }
  uint32_t draw(uint32_t low, uint32_t high) { return low + static_cast<uint32_t>(random_() % (high - low + 1)); }

  // Text number `text` has no beginning in common with another.
  static void append(std::vector<TokenId>& tokens, uint32_t text, uint32_t num_tokens) {
    for (uint32_t i = 0; i < num_tokens; ++i) tokens.push_back((text * 2'654'435'761u) ^ (i * 40'503u));
  }

  // The next turn of a chat: what was there, a question, an answer. One in ten is the last.
  TraceRequest chat(uint32_t index) {
    Chat& chat = chats_[index];
    const uint32_t asked = chat.num_tokens + draw(30, 600);
    TraceRequest request;
    append(request.prompt, chat.text, asked);
    chat.num_tokens = asked + draw(50, 400);
    append(request.whole, chat.text, chat.num_tokens);
    if (draw(0, 9) == 0) chat = {.text = num_texts_++, .num_tokens = 0};
    return request;
  }

  // One long system prompt, then something of its own.
  TraceRequest agent() {
    TraceRequest request;
    append(request.prompt, ~0u, kSystemPromptTokens);
    append(request.prompt, num_texts_, draw(100, 2000));
    request.whole = request.prompt;
    append(request.whole, num_texts_++ ^ 0x8000'0000u, draw(50, 400));
    return request;
  }

  TraceRequest document() {
    TraceRequest request;
    append(request.prompt, num_texts_, draw(1000, 8000));
    request.whole = request.prompt;
    append(request.whole, num_texts_++ ^ 0x8000'0000u, draw(50, 400));
    return request;
  }

  const TraceKind kind_;
  std::mt19937 random_;
  std::vector<Chat> chats_;
  uint32_t num_texts_ = 1;
  uint32_t num_requests_ = 0;
};

// Of all prompts' tokens, how many the ledger has when they come, one after the other: [0, 1].
inline double hit_rate_of_trace(TraceKind kind, const KvLedgerOptions& options, uint32_t num_requests, uint32_t seed) {
  KvLedger ledger(options);
  CacheTrace trace(kind, seed);
  BlockTable table;
  uint64_t num_found = 0;
  uint64_t num_tokens = 0;
  for (uint32_t i = 0; i < num_requests; ++i) {
    const TraceRequest request = trace.next();
    const Match match = ledger.match(request.prompt, {}, table);
    if (match.source) ledger.take_for_copy(match, table);
    num_found += match.num_tokens + match.num_common;
    num_tokens += request.prompt.size();
    const bool grown = ledger.grow(table, static_cast<uint32_t>(request.whole.size()));
    CHECK(grown, "{} tokens in {} blocks", request.whole.size(), ledger.num_blocks());
    const std::span<const TokenId> computed = std::span(request.whole).first(request.whole.size() - 1);
    ledger.remember(computed, {}, table);
    ledger.release_with_tail(computed, {}, table);
    ledger.clear_changes();
  }
  return static_cast<double>(num_found) / static_cast<double>(num_tokens);
}

}  // namespace slipstream
