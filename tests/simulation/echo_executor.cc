#include "echo_executor.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "base/check.h"
#include "dice.h"

namespace slipstream {

uint64_t EchoModel::chain(uint64_t before, TokenId token, uint32_t position) {
  return mix64(before ^ mix64((uint64_t{position} << 32 | token) + 0x9e3779b97f4a7c15u));
}

uint64_t EchoModel::digest(uint64_t before, uint64_t slot) { return mix64(before * 3 + slot); }

void EchoModel::write_logits(uint64_t digest, TokenId last, uint32_t period, std::span<float> logits) {
  for (size_t token = 0; token < logits.size(); ++token) {
    // [0, 8), in steps of 2^-21: exact in a float.
    logits[token] = static_cast<float>(mix64(digest + token * 0x9e3779b97f4a7c15u) >> 40) * 0x1p-21f;
  }
  if (period > 0 && digest % 8 != 0) logits[(last + 1) % period] += 16;
}

void EchoModel::put(TokenId token) {
  chain_ = chain(chain_, token, position_++);
  digest_ = digest(digest_, chain_);
  token_ = token;
}

std::span<const float> EchoModel::logits() {
  write_logits(digest_, token_, echo_period_, logits_);
  return logits_;
}

EchoExecutor::EchoExecutor(const EchoOptions& options)
    : options_(options), slots_(size_t{options.num_blocks} * options.block_tokens, kPoison) {
  found_.reserve(options.max_slices);
  logits_.resize(size_t{max_logit_rows()} * options.vocab_size);
  slice_finite_.reserve(options.max_slices);
}

Logits EchoExecutor::run(const StepInput& input) {
  CHECK(input.slices.size() <= options_.max_slices && input.tokens.size() <= options_.max_rows, "{} slices, {} rows",
        input.slices.size(), input.tokens.size());
  copy_blocks(input);
  found_.clear();
  for (const StepSlice& slice : input.slices) found_.push_back(read(input, slice));
  if (failing_slice_) {
    found_[*failing_slice_ % found_.size()].finite = false;
    failing_slice_.reset();
  }
  slice_finite_.clear();
  uint32_t num_logits = 0;
  for (size_t index = 0; index < input.slices.size(); ++index) {
    const StepSlice& slice = input.slices[index];
    CHECK(slice.first_position + slice.num_rows <= options_.max_context, "{} tokens of {}",
          slice.first_position + slice.num_rows, options_.max_context);
    Found& found = found_[index];
    for (uint32_t row = 0; row < slice.num_rows; ++row) {
      const uint32_t position = slice.first_position + row;
      const TokenId token = input.tokens[slice.first_row + row];
      found.chain = EchoModel::chain(found.chain, token, position);
      found.digest = EchoModel::digest(found.digest, found.chain);
      slot(input, slice, position) = found.finite ? found.chain : kNotFinite;
      if (row + slice.num_logits < slice.num_rows) continue;
      CHECK(num_logits < max_logit_rows(), "{} rows of logits", num_logits);
      const size_t begin = size_t{num_logits++} * options_.vocab_size;
      EchoModel::write_logits(found.digest, token, options_.period,
                              std::span(logits_).subspan(begin, options_.vocab_size));
    }
    slice_finite_.push_back(found.finite ? 1 : 0);
  }
  if (options_.clock_ns != nullptr) {
    options_.clock_ns->fetch_add(options_.ns_per_step + options_.ns_per_row * input.tokens.size());
  }
  return {{logits_.data(), num_logits, options_.vocab_size, options_.vocab_size}, slice_finite_};
}

EchoExecutor::Found EchoExecutor::read(const StepInput& input, const StepSlice& slice) {
  Found found;
  for (uint32_t position = 0; position < slice.first_position; ++position) {
    found.chain = slot(input, slice, position);
    found.digest = EchoModel::digest(found.digest, found.chain);
    if (found.chain == kPoison) ++num_bad_reads_;
    if (found.chain == kNotFinite) found.finite = false;
  }
  return found;
}

uint64_t& EchoExecutor::slot(const StepInput& input, const StepSlice& slice, uint32_t position) {
  const uint32_t index = position / options_.block_tokens;
  CHECK(index < slice.num_blocks, "position {} is beyond a table of {} blocks of {}", position, slice.num_blocks,
        options_.block_tokens);
  const BlockId block = input.block_tables[slice.first_block + index];
  CHECK(block < options_.num_blocks, "block {} of {}", block, options_.num_blocks);
  return slots_[size_t{block} * options_.block_tokens + position % options_.block_tokens];
}

void EchoExecutor::copy_blocks(const StepInput& input) {
  for (const BlockCopy& copy : input.copies) {
    CHECK(copy.from != copy.to && copy.num_tokens >= 1 && copy.num_tokens < options_.block_tokens,
          "{} tokens are copied from block {} to {}", copy.num_tokens, copy.from, copy.to);
    ++num_copies_;
    std::copy_n(&slots_[size_t{copy.from} * options_.block_tokens], copy.num_tokens,
                &slots_[size_t{copy.to} * options_.block_tokens]);
  }
}

void EchoExecutor::save_block(BlockId block, std::span<std::byte> into) const {
  CHECK(block < options_.num_blocks && into.size() == block_bytes(), "block {}, {} bytes", block, into.size());
  std::memcpy(into.data(), &slots_[size_t{block} * options_.block_tokens], into.size());
}

void EchoExecutor::load_block(BlockId block, std::span<const std::byte> from) {
  CHECK(block < options_.num_blocks && from.size() == block_bytes(), "block {}, {} bytes", block, from.size());
  std::memcpy(&slots_[size_t{block} * options_.block_tokens], from.data(), from.size());
}

void EchoExecutor::poison(std::span<const BlockId> blocks) {
  for (const BlockId block : blocks) {
    std::fill_n(&slots_[size_t{block} * options_.block_tokens], options_.block_tokens, kPoison);
  }
}

TokenTable echo_tokens(uint32_t vocab_size) {
  // Characters of two, three and four bytes in pieces, so that text often ends inside one.
  static const std::string kPieces[] = {"a",    "b",    "c",    "ab",       "bc",   "abc",  " ", "x", "\xc3", "\xa9",
                                        "\xe2", "\x82", "\xac", "\xf0\x9f", "\x98", "\x80", "ä", "€", "yes",  "no"};
  TokenTable table;
  for (uint32_t token = 0; token < vocab_size; ++token) {
    const bool is_last = token + 1 == vocab_size;
    const uint32_t piece = token % std::size(kPieces);
    const uint32_t round = token / std::size(kPieces);
    std::string text = is_last ? "<end>" : kPieces[piece] + (round == 0 ? "" : std::to_string(round));
    table.begins.push_back(static_cast<uint32_t>(table.bytes.size()));
    table.bytes += text;
    table.special.push_back(is_last ? 1 : 0);
    table.longest = std::max(table.longest, static_cast<uint32_t>(text.size()));
  }
  table.begins.push_back(static_cast<uint32_t>(table.bytes.size()));
  return table;
}

}  // namespace slipstream
