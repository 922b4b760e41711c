#include "server/answer.h"

#include <fmt/core.h>

#include <optional>
#include <utility>

#include "base/random.h"

namespace slipstream {
namespace {

std::string_view finish_word(FinishReason reason) { return reason == FinishReason::kLength ? "length" : "stop"; }

// While it lives, the client's leaving interrupts what the answer waits for.
class LeavingWatch {
 public:
  LeavingWatch(HttpExchange& exchange, std::function<void()> notice) : exchange_(exchange) {
    exchange_.when_gone(std::move(notice));
  }
  ~LeavingWatch() { exchange_.when_gone(nullptr); }
  LeavingWatch(const LeavingWatch&) = delete;
  LeavingWatch& operator=(const LeavingWatch&) = delete;

 private:
  HttpExchange& exchange_;
};

}  // namespace

uint64_t RandomDraws::next() {
  const uint64_t where = drawn_++;
  const auto words = philox4x32(seed_, {static_cast<uint32_t>(where), static_cast<uint32_t>(where >> 32), 0, 0});
  return uint64_t{words[0]} << 32 | words[1];
}

std::string RandomDraws::next_id() {
  const uint64_t first = next();
  return fmt::format("{:016x}{:08x}", first, static_cast<uint32_t>(next()));
}

Result<std::unique_ptr<Answer>> Answer::begin(Asked asked, Engine& engine, const TokenTable& table, RandomDraws& draws,
                                              ResumeQueue& reader) {
  std::unique_ptr<Answer> answer(new Answer(std::move(asked)));
  Asked& its = answer->asked_;
  const GenerationParams& generation = its.generation;
  answer->streams_.reserve(its.prompts.size() * generation.num_choices);
  const bool keeps_prompt = generation.return_token_ids || (generation.echo && generation.top_logprobs);
  for (uint32_t prompt = 0; prompt < its.prompts.size(); ++prompt) {
    answer->usage_.prompt_tokens += its.prompts[prompt].size();
    SamplingParams sampling = generation.sampling;
    if (!generation.has_seed) sampling.seed = draws.next();
    for (uint32_t choice = 0; choice < generation.num_choices; ++choice) {
      Result<TextStream> stream = engine.submit(answer->make_request(prompt, choice, sampling), &reader);
      if (!stream.ok()) {
        Error error = std::move(stream).error();
        if (error.param == "prompt") error.param = its.prompt_param();
        return error;
      }
      answer->streams_.push_back(std::move(stream).value());
      answer->reports_.emplace_back(its.kind, generation, &table,
                                    keeps_prompt ? its.prompts[prompt] : std::vector<TokenId>(),
                                    generation.echo ? its.echoes[prompt] : std::string());
    }
  }
  its.prompts = {};
  its.echoes = {};
  return answer;
}

Request Answer::make_request(uint32_t prompt, uint32_t choice, const SamplingParams& sampling) const {
  const GenerationParams& generation = asked_.generation;
  Request request;
  request.prompt = asked_.prompts[prompt];
  request.sampling = sampling;
  request.max_tokens = generation.max_tokens.value();
  request.min_tokens = generation.min_tokens;
  request.stop = generation.stop;
  request.stop_tokens = generation.stop_token_ids;
  request.include_stop = generation.include_stop_str_in_output;
  request.ignore_eos = generation.ignore_eos;
  request.report_tokens = generation.return_token_ids;
  request.top_logprobs = generation.top_logprobs;
  request.prompt_logprobs = generation.echo && generation.top_logprobs;
  request.choice = choice;
  request.client = asked_.client;
  request.cache_key = asked_.cache_key;
  request.wider_cache_key = asked_.wider_cache_key;
  request.arrived_ns = asked_.arrived_ns;
  return request;
}

void Answer::count(const TextEvent& event, uint32_t index) {
  usage_.completion_tokens += event.num_tokens;
  // A prompt counts once, so does what the cache had of it: as its first choice found it.
  if (!event.finish || index % asked_.generation.num_choices != 0) return;
  usage_.cached_tokens += event.cached_tokens;
  cache_report_.add(event);
}

void Answer::interrupt_all() {
  for (TextStream& stream : streams_) stream.interrupt();
}

Task<void> Answer::respond_whole(HttpExchange& exchange, const AnswerWriter& writer) {
  const LeavingWatch watch(exchange, [this] { interrupt_all(); });
  std::vector<AnswerChoice> choices(streams_.size());
  // One after the other: what the others write meanwhile is gathered in their streams.
  for (uint32_t index = 0; index < streams_.size(); ++index) {
    bool ended = false;
    while (!ended) {
      const std::optional<TextEvent> event = co_await streams_[index].next();
      if (!event) co_return;  // the client has left
      count(*event, index);
      choices[index].text += reports_[index].add(*event);
      if (event->error) {
        HttpResponse failure = error_response(api_error(*event->error));
        co_await exchange.respond(std::move(failure));
        co_return;
      }
      ended = event->finish.has_value();
      if (ended) choices[index].finish_reason = finish_word(*event->finish);
    }
  }
  for (uint32_t index = 0; index < streams_.size(); ++index) {
    choices[index].extras = reports_[index].take();
    choices[index].extras.prompt_token_ids = reports_[index].prompt_token_ids();
  }
  HttpResponse response;
  response.body = writer.whole(choices, usage_, cache_report_.json());
  co_await exchange.respond(std::move(response));
}

Task<void> Answer::respond_events(HttpExchange& exchange, AnswerWriter writer) {
  const LeavingWatch watch(exchange, [this] { interrupt_all(); });
  if (asked_.generation.include_usage) writer.announce_usage();
  exchange.begin_events();
  std::vector<Task<void>> pumps;
  for (uint32_t index = 0; index < streams_.size(); ++index) {
    if (asked_.kind == AnswerKind::kChat) {
      const AnswerExtras extras = index == 0 ? first_extras(index) : extras_now(index);
      exchange.put_event(writer.role(index, extras));
    }
    pumps.push_back(pump(exchange, writer, index));
  }
  co_await exchange.flush();
  co_await WhenAll(std::move(pumps));
  if (exchange.client_gone()) co_return;
  if (asked_.generation.include_usage && !failed_) exchange.put_event(writer.usage(usage_, cache_report_.json()));
  exchange.put_event("[DONE]");
  co_await exchange.end_events();
}

// What goes out first of a chat, whose prompt is one, or of a completion's choice.
AnswerExtras Answer::first_extras(uint32_t index) {
  AnswerExtras extras = extras_now(index);
  extras.prompt_token_ids = reports_[index].prompt_token_ids();
  return extras;
}

AnswerExtras Answer::extras_now(uint32_t index) {
  AnswerExtras extras = reports_[index].take();
  if (asked_.generation.continuous_usage) extras.usage = &usage_;
  return extras;
}

// What goes out with a choice's end. The last choice to end brings what the cache had, where no chunk of usage will.
AnswerExtras Answer::last_extras(uint32_t index) {
  AnswerExtras extras = extras_now(index);
  const bool is_last = ++num_ended_ == streams_.size();
  if (is_last && !asked_.generation.include_usage) extras.cache = cache_report_.json();
  return extras;
}

// One choice's text, as it comes. While a write waits for a slow reader, the stream gathers: nothing is lost, nothing
// piles up.
Task<void> Answer::pump(HttpExchange& exchange, const AnswerWriter& writer, uint32_t index) {
  bool ended = false;
  bool is_first = asked_.kind == AnswerKind::kText;
  while (!ended && !exchange.client_gone()) {
    const std::optional<TextEvent> event = co_await streams_[index].next();
    if (!event) co_return;  // the client has left, or another choice failed
    count(*event, index);
    const std::string text = reports_[index].add(*event);
    const AnswerExtras extras = std::exchange(is_first, false) ? first_extras(index) : extras_now(index);
    const bool has_tokens = extras.token_ids != nullptr && !extras.token_ids->empty();
    if (!text.empty() || has_tokens || !extras.logprobs.empty()) {
      exchange.put_event(writer.text(index, text, extras));
    }
    if (event->error && !failed_) {
      failed_ = true;
      exchange.put_event(write_error(api_error(*event->error)));
      interrupt_all();
    } else if (event->finish && !event->error) {
      exchange.put_event(writer.finish(index, finish_word(*event->finish), last_extras(index)));
    }
    ended = event->finish.has_value();
    co_await exchange.flush();
  }
}

HttpResponse error_response(const ApiError& error) {
  HttpResponse response;
  response.status = error.status;
  response.body = write_error(error);
  if (error.retry_after_s > 0) response.headers.push_back({"Retry-After", std::to_string(error.retry_after_s)});
  if (error.status == 401) response.headers.push_back({"WWW-Authenticate", "Bearer"});
  return response;
}

}  // namespace slipstream
