#include "text/detokenizer.h"

#include <algorithm>
#include <cstring>

namespace slipstream {
namespace {

constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD

}  // namespace

Detokenizer::Detokenizer(const TokenTable* table) : table_(table), spaces_to_drop_(table->spaces_dropped_first) {}

void Detokenizer::put(TokenId token, std::string& out) {
  if (table_->is_special(token)) return;  // dropped before decoding: a run of bytes goes on over it
  const std::string_view bytes = table_->token(token);
  if (bytes.empty()) return;
  if (table_->is_run_byte(token)) {
    put_run_byte(bytes[0], out);
    return;
  }
  if (!table_->run_byte.empty()) end_run(out);
  put_bytes(bytes, out);
}

void Detokenizer::append(std::string_view text, std::string& out) {
  while (spaces_to_drop_ > 0 && !text.empty()) {
    if (text[0] != ' ') {
      spaces_to_drop_ = 0;
      break;
    }
    text.remove_prefix(1);
    --spaces_to_drop_;
  }
  out += text;
}

void Detokenizer::append_replacements(uint32_t count, std::string& out) {
  for (uint32_t i = 0; i < count; ++i) append(kReplacementCharacter, out);
}

void Detokenizer::put_bytes(std::string_view bytes, std::string& out) {
  size_t at = 0;
  while (at < bytes.size()) {
    const size_t ascii_begin = at;
    while (num_held_ == 0 && at < bytes.size() && static_cast<uint8_t>(bytes[at]) < 0x80) ++at;
    append(bytes.substr(ascii_begin, at - ascii_begin), out);
    if (at == bytes.size()) return;

    const auto byte = static_cast<uint8_t>(bytes[at]);
    Utf8State::Step step = state_.step(byte);
    if (step == Utf8State::Step::kWrong &&
        num_held_ > 0) {  // the held beginning is no character; this byte may begin one
      append_replacements(1, out);
      num_held_ = 0;
      step = state_.step(byte);
    }
    if (step == Utf8State::Step::kWrong) {
      append_replacements(1, out);
    } else {
      held_[num_held_++] = bytes[at];
      if (step == Utf8State::Step::kWhole) {
        append({held_, num_held_}, out);
        num_held_ = 0;
      }
    }
    ++at;
  }
}

void Detokenizer::put_run_byte(char byte, std::string& out) {
  if (run_is_wrong_) {
    append_replacements(1, out);
    return;
  }
  held_[num_held_++] = byte;
  const Utf8State::Step step = state_.step(static_cast<uint8_t>(byte));
  if (step == Utf8State::Step::kWrong) {
    append_replacements(num_held_, out);
    num_held_ = num_whole_ = 0;
    run_is_wrong_ = true;
    return;
  }
  if (step == Utf8State::Step::kWhole) num_whole_ = num_held_;
  if (num_held_ == kMaxHeld) {
    append({held_, num_whole_}, out);
    std::memmove(held_, held_ + num_whole_, num_held_ - num_whole_);
    num_held_ -= num_whole_;
    num_whole_ = 0;
  }
}

void Detokenizer::end_run(std::string& out) {
  if (state_.num_missing == 0) {
    append({held_, num_held_}, out);
  } else {
    append_replacements(num_held_, out);
  }
  state_ = {};
  num_held_ = num_whole_ = 0;
  run_is_wrong_ = false;
}

void Detokenizer::finish(std::string& out) {
  if (!table_->run_byte.empty()) {
    end_run(out);
  } else if (num_held_ > 0) {
    append_replacements(1, out);
  }
  state_ = {};
  num_held_ = 0;
  spaces_to_drop_ = table_->spaces_dropped_first;
}

}  // namespace slipstream
