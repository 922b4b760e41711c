// What the two ends of one answer share: the engine thread adds events, the reader takes them.
#pragma once

#include <coroutine>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/mailbox.h"
#include "base/resume_queue.h"
#include "cache/reuse.h"
#include "engine/text_stream.h"

namespace slipstream {

struct Mail;
struct Sequence;
class Output;

struct StreamState {
  // Takes memory for what this output gives at a time. Before anything else.
  void reserve(const Output& output);

  // Constant after submit.
  ResumeQueue* queue = nullptr;  // of the reader's thread; null: it only calls try_next()

  // Engine thread.
  Sequence* sequence = nullptr;  // null when the answer has ended

  // Reader's thread.
  std::shared_ptr<Mailbox<Mail>> inbox;  // the engine's; outlives the engine, so that a late cancel goes nowhere
  bool interrupted = false;
  bool ended = false;                    // the last event was given

  // Shared, guarded by `mutex`.
  std::mutex mutex;
  TextEvent gathered;                    // since the last event was taken; its text keeps its memory
  bool has_event = false;
  std::coroutine_handle<> reader;        // waits for an event; whoever takes it out posts it to `queue`
};

// Engine thread: adds to the reader's next event. Returns the reader if it waits; it must then be posted to
// state.queue.
struct EventPart {
  std::string_view text;
  std::span<const TokenId> tokens;
  std::span<const TokenLogprob> logprobs;
  std::span<const uint64_t> text_begins;
  std::vector<TokenLogprob>* prompt_logprobs = nullptr;  // taken over, not copied
  uint32_t num_tokens = 0;
  uint32_t cached_tokens = 0;
  Reuse reuse;
  std::optional<FinishReason> finish;
};
std::coroutine_handle<> add_event(StreamState& state, const EventPart& part);
// Engine thread: the last event, without text.
std::coroutine_handle<> add_error(StreamState& state, Error error);

}  // namespace slipstream
