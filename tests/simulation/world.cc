#include "world.h"

#include <algorithm>

#include "base/check.h"
#include "dice.h"
#include "sample/logit_rules.h"
#include "sample/sampler.h"
#include "text/detokenizer.h"

namespace slipstream {
namespace {

SamplingParams make_sampling(Dice& dice) {
  SamplingParams sampling;
  sampling.temperature = dice.one_in(2) ? 0.0 : 0.1 + 1.5 * dice.fraction();
  if (dice.one_in(4)) sampling.top_k = dice.from(1, 10);
  if (dice.one_in(4)) sampling.top_p = 0.1 + 0.9 * dice.fraction();
  if (dice.one_in(4)) sampling.min_p = 0.2 * dice.fraction();
  if (dice.one_in(4)) sampling.repetition_penalty = 0.5 + dice.fraction();
  if (dice.one_in(4)) sampling.frequency_penalty = 4 * dice.fraction() - 2;
  if (dice.one_in(4)) sampling.presence_penalty = 4 * dice.fraction() - 2;
  if (dice.one_in(6)) sampling.logit_bias = {{dice.from(0, 3), 20.0f}};
  sampling.seed = dice.bits();
  return sampling;
}

std::vector<std::string> make_stops(Dice& dice) {
  static const std::string kStops[] = {"a",         "ab",    "abc", "cab",  "€",  "é",
                                       "a\xc3\xa9", "yesno", "xx",  "abab", " b", "ä "};
  std::vector<std::string> stops;
  if (dice.one_in(2)) return stops;
  for (uint32_t i = dice.from(1, 3); i > 0; --i) stops.push_back(dice.any_of(kStops));
  return stops;
}

// A beginning that others have too, then tokens of its own.
std::vector<TokenId> make_prompt(Dice& dice, std::span<const std::vector<TokenId>> beginnings, uint32_t longest,
                                 uint32_t vocab_size) {
  std::vector<TokenId> prompt;
  if (!dice.one_in(4)) {
    prompt = dice.any_of(beginnings);
    if (dice.one_in(2)) prompt.resize(dice.from(1, static_cast<uint32_t>(prompt.size())));
  }
  const uint32_t fewest_own = prompt.empty() ? 1 : 0;
  const uint32_t num_own = dice.one_in(3) ? fewest_own : dice.from(1, std::max(1u, longest / 4));
  for (uint32_t i = 0; i < num_own; ++i) prompt.push_back(dice.from(0, vocab_size - 1));
  prompt.resize(std::min<size_t>(prompt.size(), longest));
  return prompt;
}

// One reader: everything it got so far.
struct Reader {
  std::optional<TextStream> stream;
  std::string text;
  uint32_t num_tokens = 0;
  uint32_t num_events = 0;
  std::optional<FinishReason> finish;
  std::optional<Error> error;
  uint32_t cached_tokens = 0;
};

// Takes what is there. A fault where an event breaks a promise of its own.
std::string read(const World& world, const WorldRequest& asked, Reader& reader) {
  while (auto event = reader.stream->try_next()) {
    if (reader.finish) return "an event after the last";
    if (event->cached_tokens >= asked.request.prompt.size()) return "the whole prompt came from the cache";
    if (reader.num_events > 0 && event->cached_tokens != reader.cached_tokens) return "cached_tokens changed";
    // Whoever looks after every step sees each event alone.
    const uint32_t expected = reader.num_events == 0 ? 1 : world.options.stream_interval;
    if (asked.read_one_in == 1 && !event->finish && event->num_tokens != expected) {
      return fmt::format("{} tokens in event {}", event->num_tokens, reader.num_events);
    }
    ++reader.num_events;
    reader.text += event->text;
    reader.num_tokens += event->num_tokens;
    reader.finish = event->finish;
    reader.error = event->error;
    reader.cached_tokens = event->cached_tokens;
  }
  return {};
}

// Why the answer is not what the request would get alone; empty when it is.
std::string compare(const World& world, const WorldRequest& asked, const Reader& reader, const Answer& alone) {
  if (!reader.finish) {
    if (!asked.cancel_step) return "it never ended";
    return alone.text.starts_with(reader.text)
               ? ""
               : fmt::format("cancelled after '{}', alone: {}", reader.text, to_string(alone));
  }
  if (*reader.finish == FinishReason::kError) {
    if (world.fail_one_in == 0) return "it failed: " + reader.error->message;
    if (!reader.error || reader.error->kind != ErrorKind::kModel) return "an error of the wrong kind";
    return alone.text.starts_with(reader.text)
               ? ""
               : fmt::format("failed after '{}', alone: {}", reader.text, to_string(alone));
  }
  const Answer answer{reader.text, reader.num_tokens, *reader.finish};
  return answer == alone ? "" : fmt::format("{}, alone: {}", to_string(answer), to_string(alone));
}

// The oldest sequence comes at least one token nearer to its end in each step, and everyone becomes the oldest; a
// failed slice ends.
uint64_t step_bound(const World& world) {
  uint64_t bound = 2;
  uint32_t last_submit = 0;
  for (const WorldRequest& asked : world.requests) {
    bound += asked.request.prompt.size() + asked.request.max_tokens + 1;
    last_submit = std::max(last_submit, asked.submit_step);
  }
  return bound + last_submit;
}

}  // namespace

WorldShape echo_world_shape() {
  WorldShape shape;
  shape.block_sizes = {1, 2, 3, 4, 5, 7, 8, 13, 16, 31, 32, 64};
  return shape;
}

World make_world(uint64_t seed, const WorldShape& shape) {
  Dice dice(seed);
  World world;
  world.seed = seed;
  EngineOptions& options = world.options;
  options.block_tokens = dice.any_of(shape.block_sizes);
  const uint32_t longest =
      std::min(shape.most_tokens_long, options.block_tokens * dice.from(2, shape.most_blocks_long));
  options.max_model_len = dice.from(std::max(2u, longest / 2), longest);
  const uint32_t fewest_blocks = (options.max_model_len + options.block_tokens - 1) / options.block_tokens;
  options.num_blocks = fewest_blocks + (dice.one_in(2) ? dice.from(0, 2) : dice.from(0, 3 * fewest_blocks));
  options.max_num_seqs = dice.one_in(8) ? 1 : dice.from(2, 10);
  options.max_num_batched_tokens = dice.one_in(2) ? dice.from(1, 8) : dice.from(1, 200);
  options.max_step_ms = dice.one_in(2) ? 0 : 1 + 20 * dice.fraction();
  world.ns_per_step = dice.from(0, 5'000'000);
  world.ns_per_row = dice.from(0, 2'000'000);
  options.prefix_cache = !dice.one_in(6);
  options.cache_seed = dice.bits();
  options.stream_interval = dice.one_in(2) ? 1 : dice.from(2, 6);
  options.eos_tokens = shape.eos_tokens;
  if (dice.one_in(5)) world.fail_one_in = dice.from(2, 40);

  std::vector<std::vector<TokenId>> beginnings(dice.from(1, 3));
  for (auto& beginning : beginnings) {
    for (uint32_t i = dice.from(1, options.max_model_len * 3 / 4); i > 0; --i)
      beginning.push_back(dice.from(0, shape.vocab_size - 1));
  }
  const uint32_t arrivals = dice.one_in(3) ? 0 : dice.from(1, 120);
  for (uint32_t i = dice.from(1, shape.most_requests); i > 0; --i) {
    WorldRequest asked;
    asked.request.prompt = make_prompt(dice, beginnings, options.max_model_len - 1, shape.vocab_size);
    asked.request.sampling = make_sampling(dice);
    asked.request.max_tokens = dice.one_in(8) ? 1 : dice.from(1, dice.one_in(2) ? 10 : options.max_model_len);
    asked.request.stop = make_stops(dice);
    asked.request.ignore_eos = dice.one_in(2);
    asked.request.choice = dice.one_in(4) ? dice.from(1, 3) : 0;
    asked.submit_step = dice.from(0, arrivals);
    if (dice.one_in(5)) asked.cancel_step = asked.submit_step + dice.from(0, 40);
    asked.read_one_in = dice.one_in(2) ? 1 : dice.from(2, 9);
    world.requests.push_back(std::move(asked));
  }
  return world;
}

std::string to_string(const Answer& answer) {
  static constexpr const char* kReasons[] = {"stop", "length", "error"};
  return fmt::format("'{}' ({} tokens, {})", answer.text, answer.num_tokens, kReasons[static_cast<int>(answer.finish)]);
}

Answer echo_answer(const World& world, const Request& request, const TokenTable& table) {
  EchoModel model(table.num_tokens());
  for (const TokenId token : request.prompt) model.put(token);
  const auto prompt_tokens = static_cast<uint32_t>(request.prompt.size());
  const uint32_t max_tokens = std::min(request.max_tokens, world.options.max_model_len - prompt_tokens);
  Detokenizer detokenizer(&table);
  std::vector<std::byte> scratch(sampler_scratch_bytes(table.num_tokens()) + 64);
  void* aligned = scratch.data();
  size_t space = scratch.size();
  std::align(64, space - 64, aligned, space);

  Answer answer;
  std::vector<TokenId> output;
  for (uint32_t drawn = 0;; ++drawn) {
    const DrawPosition where{prompt_tokens + drawn, request.choice};
    // Counted afresh each time: what the engine keeps over preemption and chunks must come to the same.
    TokenCounts counts(prompt_tokens + drawn);
    for (const TokenId token : request.prompt) counts.add_prompt(token);
    for (const TokenId token : output) counts.add_output(token);
    std::vector<float> logits(model.logits().begin(), model.logits().end());
    apply_logit_rules(logits, request.sampling,
                      needs_counts(request.sampling) ? std::move(counts) : TokenCounts());
    const TokenId token = sample_token(logits, request.sampling, where, {static_cast<std::byte*>(aligned), space});
    model.put(token);
    output.push_back(token);
    ++answer.num_tokens;
    const bool is_eos = !request.ignore_eos && std::ranges::count(world.options.eos_tokens, token) > 0;
    const bool is_last = is_eos || answer.num_tokens == max_tokens;
    if (!is_eos) detokenizer.put(token, answer.text);
    if (is_last) detokenizer.finish(answer.text);
    // The first place where a stop string ends; of those that end there, the longest.
    for (size_t end = 1; end <= answer.text.size(); ++end) {
      size_t longest = 0;
      for (const std::string& stop : request.stop) {
        if (std::string_view(answer.text).substr(0, end).ends_with(stop)) longest = std::max(longest, stop.size());
      }
      if (longest == 0) continue;
      answer.text.resize(end - longest);
      answer.finish = FinishReason::kStop;
      return answer;
    }
    if (is_last) {
      answer.finish = is_eos ? FinishReason::kStop : FinishReason::kLength;
      return answer;
    }
  }
}

WorldResult run_world(const World& world, Executor& executor, EchoExecutor* echo, const TokenTable& table,
                      std::span<const Answer> alone, std::atomic<uint64_t>& clock_ns) {
  static ThreadPool pool(1);
  Dice dice(world.seed ^ 0x11fe);
  WorldResult result;
  Engine engine(world.options, executor, pool, &table, Clock::manual(&clock_ns));
  std::vector<Reader> readers(world.requests.size());
  const auto fault = [&](size_t index, const std::string& what) {
    result.fault = fmt::format("request {}: {}", index, what);
  };
  const uint64_t bound = step_bound(world);
  bool all_submitted = false;
  for (uint32_t step = 0; !all_submitted || !engine.idle(); ++step) {
    if (step > bound)
      return fault(0, fmt::format("not at the end after {} steps\n{}", step, engine.describe())), result;
    all_submitted = true;
    for (size_t index = 0; index < readers.size(); ++index) {
      const WorldRequest& asked = world.requests[index];
      if (asked.submit_step == step) {
        auto stream = engine.submit(asked.request, nullptr);
        if (!stream.ok()) return fault(index, "refused: " + stream.error().message), result;
        readers[index].stream.emplace(std::move(*stream));
      }
      all_submitted &= asked.submit_step <= step;
      if (asked.cancel_step == step) readers[index].stream.reset();
    }
    if (echo != nullptr && world.fail_one_in > 0 && dice.one_in(world.fail_one_in)) echo->fail_next(dice.from(0, 100));
    engine.step();
    if (std::string broken = engine.check(); !broken.empty())
      return fault(0, fmt::format("after step {}: {}", step, broken)), result;
    if (echo != nullptr) {
      echo->poison(engine.blank_blocks());
      if (echo->num_bad_reads() > 0) return fault(0, fmt::format("step {} read slots that nobody wrote", step)), result;
    }
    for (size_t index = 0; index < readers.size(); ++index) {
      if (!readers[index].stream || !dice.one_in(world.requests[index].read_one_in)) continue;
      if (std::string broken = read(world, world.requests[index], readers[index]); !broken.empty())
        return fault(index, broken), result;
    }
  }
  for (size_t index = 0; index < readers.size(); ++index) {
    Reader& reader = readers[index];
    std::string broken = reader.stream ? read(world, world.requests[index], reader) : "";
    if (broken.empty()) broken = compare(world, world.requests[index], reader, alone[index]);
    if (!broken.empty()) return fault(index, broken), result;
    if (reader.finish) ++result.num_by_finish[static_cast<int>(*reader.finish)];
  }
  result.stats = engine.stats();
  if (result.stats.blocks_in_use != 0)
    result.fault = fmt::format("{} blocks are held by nobody", result.stats.blocks_in_use);
  return result;
}

void WorldTotals::add(const WorldResult& result) {
  ++num_worlds;
  num_steps += result.stats.num_steps;
  num_rows += result.stats.num_rows;
  num_preemptions += result.stats.num_preemptions;
  num_cached_tokens += result.stats.num_cached_tokens;
  num_cancelled += result.stats.num_cancelled;
  num_failed += result.stats.num_failed;
  num_stopped += result.num_by_finish[static_cast<int>(FinishReason::kStop)];
  num_at_length += result.num_by_finish[static_cast<int>(FinishReason::kLength)];
  num_blocks_removed += result.stats.num_blocks_removed;
}

std::string WorldTotals::describe(double seconds) const {
  return fmt::format(
      "{} worlds, {} steps ({:.0f}/s), {} rows; {} preemptions, {} tokens from the cache, {} blocks forgotten; "
      "ended: {} stop, "
      "{} length, {} cancelled, {} failed",
      num_worlds, num_steps, static_cast<double>(num_steps) / seconds, num_rows, num_preemptions, num_cached_tokens,
      num_blocks_removed, num_stopped, num_at_length, num_cancelled, num_failed);
}

WorldResult run_echo_world(uint64_t seed) {
  static const WorldShape shape = echo_world_shape();
  static const TokenTable table = echo_tokens(shape.vocab_size);
  const World world = make_world(seed, shape);
  std::vector<Answer> alone;
  for (const WorldRequest& asked : world.requests) alone.push_back(echo_answer(world, asked.request, table));
  std::atomic<uint64_t> clock_ns{0};
  EchoExecutor executor({.vocab_size = shape.vocab_size,
                         .num_blocks = world.options.num_blocks,
                         .block_tokens = world.options.block_tokens,
                         .max_rows = world.options.max_num_batched_tokens,
                         .max_slices = world.options.max_num_seqs,
                         .clock_ns = &clock_ns,
                         .ns_per_step = world.ns_per_step,
                         .ns_per_row = world.ns_per_row});
  return run_world(world, executor, &executor, table, alone, clock_ns);
}

}  // namespace slipstream
