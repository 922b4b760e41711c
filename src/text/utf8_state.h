// Where a reader of UTF-8 stands inside a character (The Unicode Standard, table 3-7).
#pragma once

#include <cstdint>

namespace slipstream {

struct Utf8State {
  enum class Step : uint8_t {
    kWhole,  // the byte ends a character
    kPart,   // the byte is part of a character that is not whole yet
    kWrong,  // the byte cannot stand here, and the state is as at the beginning: it may begin another character
  };

  Step step(uint8_t byte) {
    if (num_missing > 0) {
      if (byte < low || byte > high) {
        *this = {};
        return Step::kWrong;
      }
      low = 0x80;
      high = 0xBF;
      return --num_missing == 0 ? Step::kWhole : Step::kPart;
    }
    //  first byte   second byte
    //  C2..DF       80..BF
    //  E0           A0..BF             no overlong forms
    //  E1..EF       80..BF             but ED 80..9F: no surrogates
    //  F0           90..BF
    //  F1..F4       80..BF             but F4 80..8F: up to U+10FFFF
    if (byte < 0x80) return Step::kWhole;
    if (byte < 0xC2 || byte > 0xF4) return Step::kWrong;
    num_missing = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
    low = byte == 0xE0 ? 0xA0 : byte == 0xF0 ? 0x90 : 0x80;
    high = byte == 0xED ? 0x9F : byte == 0xF4 ? 0x8F : 0xBF;
    return Step::kPart;
  }

  uint8_t num_missing = 0;          // bytes the character still needs; 0: between characters
  uint8_t low = 0x80, high = 0xBF;  // what the next of them may be
};

}  // namespace slipstream
