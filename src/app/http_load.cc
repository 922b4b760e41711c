#include "app/http_load.h"

#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/clock.h"
#include "base/random.h"
#include "base/task.h"
#include "http/event_loop.h"

namespace slipstream {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kLastEvent = "[DONE]";
constexpr size_t kShownBytes = 300;  // of what a server said that is no answer

Json parse(std::string_view text) { return Json::parse(text, nullptr, false); }

// Where there is none: null.
const Json& at(const Json& json, const char* name) {
  static const Json kNone;
  if (!json.is_object()) return kNone;
  const auto found = json.find(name);
  return found == json.end() ? kNone : *found;
}

// The server's own words where it gave them as OpenAI does.
std::string fault_of(int status, std::string_view body) {
  const Json json = parse(body);
  const Json& message = at(at(json, "error"), "message");
  return fmt::format("status {}: {}", status,
                     message.is_string() ? message.get<std::string>() : std::string(body.substr(0, kShownBytes)));
}

// Words of five letters, drawn: the same for the same seed.
std::string made_up_words(uint64_t seed, uint32_t num_words) {
  constexpr uint32_t kLetters = 26, kWordLetters = 5;
  std::string text;
  for (uint32_t word = 0; word < num_words; ++word) {
    uint64_t draw = splitmix64(seed, word);
    if (word > 0) text += ' ';
    for (uint32_t letter = 0; letter < kWordLetters; ++letter, draw /= kLetters)
      text += static_cast<char>('a' + draw % kLetters);
  }
  return text;
}

std::vector<HttpHeader> headers_of(const HttpTarget& target) {
  if (target.api_key.empty()) return {};
  return {{"Authorization", "Bearer " + target.api_key}};
}

// One load under way: the loop's thread alone.
class HttpLoad {
 public:
  HttpLoad(const LoadPlan& plan, const HttpTarget& target, const TokensDone& tokens_done)
      : plan_(plan), target_(target), tokens_done_(tokens_done), requests_(plan.num_requests),
        events_(plan.num_requests) {}

  Result<Load> run() {
    ASSIGN_OR_RETURN(const Connector connector, Connector::find(loop_, target_.address.host, target_.address.port));
    const char* const path = target_.chat ? "/v1/chat/completions" : "/v1/completions";
    for (uint32_t request = 0; request < plan_.num_requests; ++request) {
      const std::string body = load_body(plan_, target_, request);
      calls_.push_back(write_call({"POST", path, headers_of(target_), body}, target_.address));
    }
    const uint32_t num_clients =
        plan_.request_rate > 0 ? plan_.num_requests : std::min(plan_.num_streams, plan_.num_requests);
    for (uint32_t client = 0; client < num_clients; ++client) clients_.push_back(std::make_unique<Asker>(connector));
    start_detached(all());
    loop_.run();
    clients_.clear();
    for (uint32_t request = 0; request < plan_.num_requests; ++request) {
      if (requests_[request].fault.empty()) read_events(events_[request], requests_[request]);
    }
    return std::move(requests_);
  }

 private:
  struct Asker {
    explicit Asker(const Connector& connector) : client(connector) {}
    HttpClient client;
    double waits_since_s = 0;  // 0: it waits for nothing
  };

  Task<void> all() {
    std::vector<Task<void>> both;
    both.push_back(ask_all());
    both.push_back(watch());
    co_await WhenAll(std::move(both));
    loop_.stop();
  }

  Task<void> ask_all() {
    std::vector<Task<void>> askers;
    if (plan_.request_rate > 0) {
      const double start_s = clock_.now_s();
      const std::vector<double> arrivals = plan_.arrivals();
      for (uint32_t request = 0; request < plan_.num_requests; ++request)
        askers.push_back(ask_at(start_s + arrivals[request], request, *clients_[request]));
    } else {
      for (const std::unique_ptr<Asker>& client : clients_) askers.push_back(ask_on(*client));
    }
    co_await WhenAll(std::move(askers));
    all_ended_ = true;
    watch_timer_.cancel();
  }

  Task<void> ask_at(double when_s, uint32_t request, Asker& asker) {
    Timer timer(loop_);
    const double wait_s = std::max(0.0, when_s - clock_.now_s());
    co_await timer.wait_ms(static_cast<uint32_t>(wait_s * 1e3));
    co_await ask(request, asker);
  }

  Task<void> ask_on(Asker& asker) {
    while (next_ < plan_.num_requests) co_await ask(next_++, asker);
  }

  Task<void> ask(uint32_t index, Asker& asker) {
    LoadedRequest& request = requests_[index];
    request.asked_s = asker.waits_since_s = clock_.now_s();
    const Result<int> status = co_await asker.client.ask(calls_[index]);
    if (!status.ok()) request.fault = status.error().message;
    std::string refusal;
    uint32_t num_told = 0;
    for (bool more = status.ok(); more;) {
      if (*status == 200) num_told += take_events(index, asker);
      else refusal += asker.client.take_body();
      const Result<bool> received = co_await asker.client.receive();
      more = received.ok() && *received;
      if (!received.ok()) request.fault = received.error().message;
    }
    asker.waits_since_s = 0;
    request.ended_s = clock_.now_s();
    if (status.ok() && *status != 200 && request.fault.empty()) request.fault = fault_of(*status, refusal);
    if (tokens_done_ && num_told < plan_.max_tokens) tokens_done_(plan_.max_tokens - num_told);
  }

  // What has come, with the time; returns how many tokens the progress was told of.
  uint32_t take_events(uint32_t index, Asker& asker) {
    const double now_s = asker.waits_since_s = clock_.now_s();
    uint32_t num_taken = 0;
    while (std::optional<std::string> event = asker.client.next_event()) {
      events_[index].push_back({now_s, std::move(*event)});
      ++num_taken;
    }
    const size_t all = events_[index].size();
    const auto told = static_cast<uint32_t>(std::min<size_t>(all, plan_.max_tokens) -
                                            std::min<size_t>(all - num_taken, plan_.max_tokens));
    if (tokens_done_ && told > 0) tokens_done_(told);
    return told;
  }

  // Cuts whoever has heard nothing for too long.
  Task<void> watch() {
    constexpr uint32_t kLookEveryMs = 1000;
    while (!all_ended_) {
      co_await watch_timer_.wait_ms(kLookEveryMs);
      for (const std::unique_ptr<Asker>& asker : clients_) {
        const bool waits = asker->waits_since_s != 0;
        if (waits && clock_.now_s() - asker->waits_since_s > target_.silence_timeout_s) asker->client.cut();
      }
    }
  }

  const LoadPlan& plan_;
  const HttpTarget& target_;
  const TokensDone& tokens_done_;
  const Clock clock_ = Clock::real();
  EventLoop loop_;
  Timer watch_timer_{loop_};
  std::vector<std::string> calls_;                    // [requests]
  std::vector<std::unique_ptr<Asker>> clients_;
  Load requests_;
  std::vector<std::vector<TimedEvent>> events_;       // [requests]
  uint32_t next_ = 0;                                 // to be asked
  bool all_ended_ = false;
};

Task<void> ask_once(EventLoop& loop, HttpClient& client, const std::string& call, Result<std::string>& answer) {
  const Result<int> status = co_await client.ask(call);
  std::string body;
  if (!status.ok()) answer = status.error();
  for (bool more = status.ok(); more;) {
    const Result<bool> received = co_await client.receive();
    more = received.ok() && *received;
    body += client.take_body();
    if (!received.ok()) answer = received.error();
    else if (!more && *status == 200) answer = std::move(body);
    else if (!more) answer = outside("{}", fault_of(*status, body));
  }
  loop.stop();
}

}  // namespace

Result<HttpTarget> find_target(const HttpAddress& address, const std::string& api_key) {
  HttpTarget target{address, api_key, {}};
  EventLoop loop;
  ASSIGN_OR_RETURN(const Connector connector, Connector::find(loop, address.host, address.port));
  HttpClient client(connector);
  const std::string call = write_call({"GET", "/v1/models", headers_of(target), {}}, address);
  Result<std::string> answer = outside("no answer");
  start_detached(ask_once(loop, client, call, answer));
  loop.run();
  const std::string where = fmt::format("http://{}:{}/v1/models", address.host, address.port);
  if (!answer.ok()) return std::move(answer).error().within(where);
  const Json list = parse(*answer);
  const Json& models = at(list, "data");
  const bool has_model = models.is_array() && !models.empty() && at(models.front(), "id").is_string();
  if (!has_model) return outside("{}: expected a list of models, not '{}'", where, answer->substr(0, kShownBytes));
  target.model = models.front()["id"].get<std::string>();
  return target;
}

Result<Load> run_http_load(const LoadPlan& plan, const HttpTarget& target, const TokensDone& tokens_done) {
  return HttpLoad(plan, target, tokens_done).run();
}

std::string load_body(const LoadPlan& plan, const HttpTarget& target, uint32_t request) {
  nlohmann::ordered_json body = {{"model", target.model}};
  if (target.chat) {
    const std::string text = made_up_words(splitmix64(plan.seed, request), plan.prompt_tokens);
    body["messages"] = {{{"role", "user"}, {"content", text}}};
  } else {
    body["prompt"] = plan.prompt(request);
  }
  body["max_tokens"] = plan.max_tokens;
  body["temperature"] = 0;
  body["ignore_eos"] = true;
  body["stream"] = true;
  body["stream_options"] = {{"include_usage", true}};
  return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void read_events(std::span<const TimedEvent> events, LoadedRequest& request) {
  bool is_whole = false;
  for (const TimedEvent& event : events) {
    if (request.first_event_s == 0) request.first_event_s = event.came_s;
    if (event.data == kLastEvent) {
      is_whole = true;
      continue;
    }
    const Json chunk = parse(event.data);
    if (const Json& error = at(chunk, "error"); !error.is_null()) {
      const Json& message = at(error, "message");
      request.fault = message.is_string() ? message.get<std::string>() : error.dump();
      return;
    }
    if (const Json& tokens = at(at(chunk, "usage"), "completion_tokens"); tokens.is_number_unsigned())
      request.num_tokens = tokens.get<uint32_t>();
    const Json& choices = at(chunk, "choices");
    if (!choices.is_array() || choices.empty()) continue;
    const Json& completion = at(choices.front(), "text");
    const Json& text = completion.is_null() ? at(at(choices.front(), "delta"), "content") : completion;
    if (!text.is_string() || text.get_ref<const std::string&>().empty()) continue;
    request.text_s.push_back(event.came_s);
    request.text += text.get_ref<const std::string&>();
  }
  if (!is_whole) request.fault = "the stream has no end";
  else if (request.num_tokens == 0) request.fault = "the stream says no number of tokens";
}

}  // namespace slipstream
