// The reader's end of one answer. Awaiting next() gives text; destroying the stream cancels the request. There is no
// other cancel path.
//
// One reader: all members are called on the thread that owns the ResumeQueue given to Engine::submit (or, in tests, by
// whoever calls try_next()).
#pragma once

#include <coroutine>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "cache/reuse.h"
#include "sample/logprobs.h"

namespace slipstream {

enum class FinishReason : uint8_t { kStop, kLength, kError };

// What happened since the last event. Events are gathered while the reader is away: nothing is lost, none is per token.
struct TextEvent {
  std::string text;                    // whole UTF-8 characters; may be empty
  uint32_t num_tokens = 0;             // tokens sampled since the last event (the end-of-turn token counts)
  std::vector<TokenId> tokens = {};    // these, where the request wants them; also those whose text is held back
  // Where the request wants them: of each token whose text is certain now its own logprob, then the likeliest ones, so
  // 1 + top_logprobs for each; and at which byte of the answer's text it begins. The token that ends a turn and those
  // that a stop string took away have none.
  std::vector<TokenLogprob> logprobs = {};
  std::vector<uint64_t> text_begins = {};
  std::vector<TokenLogprob> prompt_logprobs = {};  // in the first event: of the prompt's tokens but the first
  std::optional<FinishReason> finish = {};  // set in the last event
  std::optional<Error> error = {};     // with kError
  uint32_t cached_tokens = 0;          // of the prompt, taken from the cache; known from the first event on
  Reuse reuse = {};                    // why not more
};

struct StreamState;  // shared with the engine thread; each field says how

class TextStream {
 public:
  explicit TextStream(std::shared_ptr<StreamState> state);
  ~TextStream();  // cancels when the answer has not ended
  TextStream(TextStream&&) noexcept;
  TextStream& operator=(TextStream&&) noexcept;

  // co_await next(): the next event; nullopt after the last one, or when interrupt() was called meanwhile.
  struct Awaiter {
    TextStream& stream;
    bool await_ready();
    bool await_suspend(std::coroutine_handle<> reader);  // false: an event came meanwhile
    std::optional<TextEvent> await_resume();
  };
  Awaiter next() { return Awaiter{*this}; }

  // The event there is now, if any. For tests and callers without coroutines.
  std::optional<TextEvent> try_next();

  // Reader's thread: the awaiting reader (the client has gone) is resumed through the ResumeQueue with nullopt, once.
  void interrupt();

 private:
  std::shared_ptr<StreamState> state_;
};

}  // namespace slipstream
