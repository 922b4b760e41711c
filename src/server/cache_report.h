// The object "cache" of an answer: how much of its prompts the cache had, and why not more. Of what other clients have
// cached it says nothing: everything it is made from is under the asker's own key, or under one wider key that is his
// too.
#pragma once

#include <cstdint>
#include <string>

#include "engine/text_stream.h"

namespace slipstream {

// Why so much of a prompt and no more, in words. num_reused: tokens of it.
std::string reuse_reason(const Reuse& reuse, uint32_t num_reused);

class CacheReport {
 public:
  // A prompt's last event.
  void add(const TextEvent& event);

  // {"status":"HIT"|"PREFIX_HIT"|"MISS","reused_tokens":n,"reason":"..."}. HIT: all but the last token of each prompt;
  // MISS: nothing of any. The reason is that of the first prompt of which not all was reused.
  std::string json() const;

 private:
  uint64_t num_reused_ = 0;
  bool is_whole_ = true;
  std::string reason_;
};

}  // namespace slipstream
