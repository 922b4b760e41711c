#include "engine/text_stream.h"

#include <utility>

#include "engine/mail.h"
#include "engine/output.h"

namespace slipstream {

void StreamState::reserve(const Output& output) {
  gathered.text.reserve(output.text_capacity());
  gathered.tokens.reserve(output.token_capacity());
  gathered.text_begins.reserve(output.logprob_capacity());
  gathered.logprobs.reserve(output.logprob_capacity() * output.num_logprobs());
}

std::coroutine_handle<> add_event(StreamState& state, const EventPart& part) {
  const std::lock_guard lock(state.mutex);
  TextEvent& gathered = state.gathered;
  gathered.text.append(part.text);
  gathered.tokens.insert(gathered.tokens.end(), part.tokens.begin(), part.tokens.end());
  gathered.logprobs.insert(gathered.logprobs.end(), part.logprobs.begin(), part.logprobs.end());
  gathered.text_begins.insert(gathered.text_begins.end(), part.text_begins.begin(), part.text_begins.end());
  if (part.prompt_logprobs != nullptr && !part.prompt_logprobs->empty()) {
    gathered.prompt_logprobs = std::move(*part.prompt_logprobs);
    part.prompt_logprobs->clear();
  }
  gathered.num_tokens += part.num_tokens;
  gathered.cached_tokens = part.cached_tokens;
  gathered.reuse = part.reuse;
  gathered.finish = part.finish;
  state.has_event = true;
  return std::exchange(state.reader, nullptr);
}

std::coroutine_handle<> add_error(StreamState& state, Error error) {
  const std::lock_guard lock(state.mutex);
  state.gathered.finish = FinishReason::kError;
  state.gathered.error = std::move(error);
  state.has_event = true;
  return std::exchange(state.reader, nullptr);
}

TextStream::TextStream(std::shared_ptr<StreamState> state) : state_(std::move(state)) {}
TextStream::TextStream(TextStream&&) noexcept = default;

TextStream& TextStream::operator=(TextStream&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}

TextStream::~TextStream() {
  if (state_ == nullptr) return;
  // Taken out, because the mail keeps the state and the state would keep the mailbox: a circle if the engine is gone.
  const std::shared_ptr<Inbox> inbox = std::move(state_->inbox);
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->ended || state_->gathered.finish) return;
  }
  Mail mail;
  mail.cancelled = std::move(state_);
  inbox->put(std::move(mail));
}

std::optional<TextEvent> TextStream::try_next() {
  StreamState& state = *state_;
  const std::lock_guard lock(state.mutex);
  if (!state.has_event) return std::nullopt;
  // A copy, so that the engine's text keeps its memory. What comes once is moved.
  std::vector<TokenLogprob> prompt_logprobs = std::move(state.gathered.prompt_logprobs);
  state.gathered.prompt_logprobs.clear();
  TextEvent event = state.gathered;
  event.prompt_logprobs = std::move(prompt_logprobs);
  state.gathered.text.clear();
  state.gathered.tokens.clear();
  state.gathered.logprobs.clear();
  state.gathered.text_begins.clear();
  state.gathered.num_tokens = 0;
  state.has_event = false;
  state.ended = event.finish.has_value();
  return event;
}

void TextStream::interrupt() {
  std::coroutine_handle<> reader;
  {
    const std::lock_guard lock(state_->mutex);
    reader = std::exchange(state_->reader, nullptr);
  }
  state_->interrupted = true;
  if (reader) state_->queue->post(reader);
}

bool TextStream::Awaiter::await_ready() {
  StreamState& state = *stream.state_;
  if (state.interrupted || state.ended) return true;
  const std::lock_guard lock(state.mutex);
  return state.has_event;
}

bool TextStream::Awaiter::await_suspend(std::coroutine_handle<> reader) {
  StreamState& state = *stream.state_;
  CHECK(state.queue != nullptr, "a stream submitted without a ResumeQueue is awaited");
  const std::lock_guard lock(state.mutex);
  if (state.has_event) return false;
  state.reader = reader;
  return true;
}

std::optional<TextEvent> TextStream::Awaiter::await_resume() {
  if (std::exchange(stream.state_->interrupted, false)) return std::nullopt;
  return stream.try_next();
}

}  // namespace slipstream
