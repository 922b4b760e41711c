// For the ledger's tests: sequences as the engine leads them, in blocks of four tokens.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "base/check.h"
#include "cache/kv_ledger.h"

namespace slipstream {

inline constexpr uint32_t kBlockTokens = 4;

inline KvLedgerOptions ledger_options(uint32_t num_blocks) {
  return {.num_blocks = num_blocks, .block_tokens = kBlockTokens, .prefix_cache = true, .hash_seed = 1};
}

// first, first + 1, ...
inline std::vector<TokenId> tokens(TokenId first, uint32_t count) {
  std::vector<TokenId> result;
  for (uint32_t i = 0; i < count; ++i) result.push_back(first + i);
  return result;
}

// One sequence as the engine leads it.
struct Holding {
  std::vector<TokenId> all;
  BlockTable table;
  uint32_t num_computed = 0;
  SequenceKeys keys = {};
  uint32_t num_found = 0;  // tokens that were not computed

  // Finds what is remembered, computes the rest.
  bool compute(KvLedger& ledger) {
    const Match match = ledger.match(all, keys, table);
    num_found = match.num_tokens + match.num_common;
    if (ledger.blocks_for(static_cast<uint32_t>(all.size())) - table.size() > ledger.num_free()) {
      ledger.release(table);
      return false;
    }
    if (match.source) ledger.take_for_copy(match, table);
    const bool grown = ledger.grow(table, static_cast<uint32_t>(all.size()));
    CHECK(grown, "{} blocks are free", ledger.num_free());
    num_computed = static_cast<uint32_t>(all.size());
    ledger.remember(all, keys, table);
    return true;
  }
  // One more token, computed.
  bool append(KvLedger& ledger, TokenId token) {
    if (!ledger.grow(table, num_computed + 1)) return false;
    all.resize(num_computed++);
    all.push_back(token);
    ledger.remember(all, keys, table);
    return true;
  }
  void release(KvLedger& ledger) {
    ledger.release(table);
    num_computed = 0;
  }
  void end(KvLedger& ledger) {
    ledger.release_with_tail(std::span(all).first(num_computed), keys, table);
    num_computed = 0;
  }
};

inline std::string check(const KvLedger& ledger, std::initializer_list<const Holding*> holdings) {
  std::vector<KvLedger::Holder> holders;
  for (const Holding* holding : holdings) {
    holders.push_back({holding->table, std::span(holding->all).first(holding->num_computed), holding->keys});
  }
  return ledger.check(holders);
}

// Tokens that a sequence computed, and gave back.
inline void remember(KvLedger& ledger, const std::vector<TokenId>& all, const SequenceKeys& keys = {}) {
  Holding holding{all, {}, 0, keys};
  const bool is_computed = holding.compute(ledger);
  CHECK(is_computed, "{} tokens in {} free blocks", all.size(), ledger.num_free());
  holding.end(ledger);
  const std::string fault = check(ledger, {});
  CHECK(fault.empty(), "{}", fault);
}

// How many tokens of these are found, whole blocks and common ones.
inline uint32_t found(KvLedger& ledger, const std::vector<TokenId>& all, const SequenceKeys& keys = {}) {
  BlockTable table;
  const Match match = ledger.match(all, keys, table);
  CHECK(match.num_tokens == table.size() * kBlockTokens, "{} tokens in {} blocks", match.num_tokens, table.size());
  CHECK(match.source.has_value() == (match.num_common > 0), "{} common tokens", match.num_common);
  ledger.release(table);
  return match.num_tokens + match.num_common;
}

inline std::vector<TokenId> joined(std::vector<TokenId> all, const std::vector<TokenId>& more) {
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

}  // namespace slipstream
