#include "world.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <limits>

#include "base/check.h"
#include "engine/block_traffic.h"
#include "dice.h"

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

// What few requests ask for.
void add_wishes(Request& request, Dice& dice, uint32_t vocab_size) {
  if (dice.one_in(4)) request.min_tokens = dice.from(1, 8);
  if (dice.one_in(4)) request.stop_tokens = {dice.from(0, vocab_size - 1), dice.from(0, vocab_size - 1)};
  request.include_stop = dice.one_in(4);
  request.report_tokens = dice.one_in(3);
  if (dice.one_in(3)) request.top_logprobs = dice.from(0, 5);
  request.prompt_logprobs = request.top_logprobs && dice.one_in(2);
  if (request.prompt_logprobs && dice.one_in(4)) request.max_tokens = 0;
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

struct Reader {
  std::optional<TextStream> stream;
  Answer answer;  // so far
  uint32_t num_events = 0;
  std::optional<Error> error;
  uint32_t cached_tokens = 0;
};

// Takes what is there. A fault where an event breaks a promise of its own.
std::string read(const World& world, const WorldRequest& asked, Reader& reader) {
  while (auto event = reader.stream->try_next()) {
    if (reader.answer.finish) return "an event after the last";
    if (event->cached_tokens >= asked.request.prompt.size()) return "the whole prompt came from the cache";
    if (reader.num_events > 0 && event->cached_tokens != reader.cached_tokens) return "cached_tokens changed";
    if (event->cached_tokens > 0 && asked.request.cache_key.low != 0) return "it found what another key had cached";
    if (asked.request.report_tokens && event->tokens.size() != event->num_tokens) {
      return fmt::format("{} tokens reported of {}", event->tokens.size(), event->num_tokens);
    }
    // Whoever looks after every step sees each event alone. Only drafts bring more than one token.
    const uint32_t least = reader.num_events == 0 ? 1 : world.options.stream_interval;
    const uint32_t most = least + world.options.max_drafts;
    if (asked.read_one_in == 1 && !event->finish && (event->num_tokens < least || event->num_tokens > most)) {
      return fmt::format("{} tokens in event {}", event->num_tokens, reader.num_events);
    }
    ++reader.num_events;
    reader.answer.add(*event);
    reader.error = event->error;
    reader.cached_tokens = event->cached_tokens;
  }
  return {};
}

// Why the answer is not what the request would get alone; empty when it is.
std::string compare(const World& world, const WorldRequest& asked, const Reader& reader, const Answer& alone) {
  const Answer& answer = reader.answer;
  const auto unless_begun = [&](const char* how) {
    return answer.begins(alone) ? "" : fmt::format("{} after {}, alone: {}", how, to_string(answer), to_string(alone));
  };
  if (!answer.finish) return asked.cancel_step ? unless_begun("cancelled") : "it never ended";
  if (*answer.finish == FinishReason::kError) {
    if (world.fail_one_in == 0) return "it failed: " + reader.error->message;
    if (!reader.error || reader.error->kind != ErrorKind::kModel) return "an error of the wrong kind";
    return unless_begun("failed");
  }
  return answer == alone ? "" : fmt::format("{}, alone: {}", to_string(answer), to_string(alone));
}

// What a request may wait for a store: its own fetch, in which each block tarries (with each look at it, and each wait,
// one step nearer), until one that never comes is given up.
uint64_t store_bound(const World& world, const WorldRequest& asked) {
  if (!world.store) return 0;
  const uint64_t num_blocks = asked.request.prompt.size() / world.options.block_tokens + 2;
  return num_blocks * (world.store->waits_until_found + 2) + static_cast<uint64_t>(kPatience_s / 0.02) + 2;
}

// The oldest sequence comes at least one token nearer to its end in each step, and everyone becomes the oldest; a
// failed slice ends, or is computed once more, without drafts.
uint64_t step_bound(const World& world) {
  uint64_t bound = 2;
  uint32_t last_submit = 0;
  for (const WorldRequest& asked : world.requests) {
    bound += asked.request.prompt.size() + asked.request.max_tokens + 2 + store_bound(world, asked);
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
  if (dice.one_in(4)) options.max_cache_entries = dice.from(0, 6);
  if (dice.one_in(6)) world.clear_one_in = dice.from(2, 40);
  const uint32_t num_keys = dice.one_in(3) ? dice.from(2, 3) : 1;
  options.cache_seed = dice.bits();
  options.stream_interval = dice.one_in(2) ? 1 : dice.from(2, 6);
  options.eos_tokens = shape.eos_tokens;
  options.num_clients = dice.one_in(3) ? 1 : dice.from(2, 4);
  options.turn_tokens = dice.one_in(2) ? dice.from(1, 20) : dice.from(1, 300);
  if (options.prefix_cache && dice.one_in(3)) {
    StoreHabits& store = world.store.emplace();
    if (dice.one_in(3)) store.refuses_one_in = dice.from(2, 20);
    if (dice.one_in(3)) store.loses_one_in = dice.from(2, 20);
    if (dice.one_in(2)) store.waits_until_found = dice.from(1, 6);
    if (dice.one_in(8)) store.hangs_after = dice.from(0, 20);
    if (dice.one_in(4)) store.max_blocks = dice.from(1, 10);
    store.max_coming = dice.from(1, 8);
  }
  if (dice.one_in(2)) {
    options.max_drafts = dice.from(1, 12);
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    static constexpr double kAllowances[] = {kDraftAllowance, 0.5, kInfinity, kInfinity};
    options.draft_allowance = dice.any_of(kAllowances);
  }
  if (!dice.one_in(4)) world.echo_period = dice.from(1, 12);
  const bool one_is_greedy = dice.one_in(2);
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
    add_wishes(asked.request, dice, shape.vocab_size);
    asked.request.choice = dice.one_in(4) ? dice.from(1, 3) : 0;
    if (!one_is_greedy || dice.one_in(4)) asked.request.client = dice.from(0, options.num_clients - 1);
    asked.request.cache_key.high = dice.from(0, num_keys - 1);
    if (dice.one_in(12)) asked.request.cache_key.low = 1 + i;  // its own
    asked.submit_step = dice.from(0, arrivals);
    if (dice.one_in(5)) asked.cancel_step = asked.submit_step + dice.from(0, 40);
    asked.read_one_in = dice.one_in(2) ? 1 : dice.from(2, 9);
    world.requests.push_back(std::move(asked));
  }
  return world;
}

void Answer::add(const TextEvent& event) {
  const auto append = [](auto& all, const auto& more) { all.insert(all.end(), more.begin(), more.end()); };
  text += event.text;
  num_tokens += event.num_tokens;
  finish = event.finish;
  append(tokens, event.tokens);
  append(logprobs, event.logprobs);
  append(text_begins, event.text_begins);
  append(prompt_logprobs, event.prompt_logprobs);
}

bool Answer::begins(const Answer& whole) const {
  const auto begins_with = [](const auto& all, const auto& part) {
    return part.size() <= all.size() && std::equal(part.begin(), part.end(), all.begin());
  };
  return whole.text.starts_with(text) && num_tokens <= whole.num_tokens && begins_with(whole.tokens, tokens) &&
         begins_with(whole.logprobs, logprobs) && begins_with(whole.text_begins, text_begins) &&
         begins_with(whole.prompt_logprobs, prompt_logprobs);
}

std::string to_string(const Answer& answer) {
  static constexpr const char* kReasons[] = {"stop", "length", "error"};
  return fmt::format("'{}' ({} tokens, {}; {} token ids, {} logprobs from {}, {} of the prompt)", answer.text,
                     answer.num_tokens, answer.finish ? kReasons[static_cast<int>(*answer.finish)] : "not at its end",
                     fmt::join(answer.tokens, " "), answer.logprobs.size(), fmt::join(answer.text_begins, " "),
                     answer.prompt_logprobs.size());
}

WorldResult run_world(const World& world, Executor& executor, EchoExecutor* echo, const TokenTable& table,
                      std::span<const Answer> alone, std::atomic<uint64_t>& clock_ns, MemoryStore* store) {
  static ThreadPool pool(1);
  Dice dice(world.seed ^ 0x11fe);
  WorldResult result;
  Engine engine(world.options, executor, pool, &table, Clock::manual(&clock_ns), store);
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
    if (world.clear_one_in > 0 && dice.one_in(world.clear_one_in)) engine.clear_cache();
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
    if (reader.answer.finish) ++result.num_by_finish[static_cast<int>(*reader.answer.finish)];
  }
  result.stats = engine.stats();
  if (echo != nullptr) result.num_copies = echo->num_copies();
  if (result.stats.blocks_in_use != 0)
    result.fault = fmt::format("{} blocks are held by nobody", result.stats.blocks_in_use);
  if (store != nullptr) {
    engine.stop();
    engine.run();
  }
  return result;
}

void WorldTotals::add(const WorldResult& result) {
  ++num_worlds;
  num_steps += result.stats.num_steps;
  num_rows += result.stats.num_rows;
  num_preemptions += result.stats.num_preemptions;
  num_cached_tokens += result.stats.num_cached_tokens;
  num_hits += result.stats.cache.hits;
  num_passed_over += result.stats.num_passed_over;
  num_copies += result.num_copies;
  num_evictions += result.stats.cache.evictions;
  num_cancelled += result.stats.num_cancelled;
  num_failed += result.stats.num_failed;
  num_draft_tokens += result.stats.num_draft_tokens;
  num_accepted_tokens += result.stats.num_accepted_tokens;
  num_stopped += result.num_by_finish[static_cast<int>(FinishReason::kStop)];
  num_at_length += result.num_by_finish[static_cast<int>(FinishReason::kLength)];
  num_blocks_removed += result.stats.num_blocks_removed;
  num_blocks_saved += result.stats.disk.writes;
  num_blocks_loaded += result.stats.disk.hits;
  num_second_lives += result.num_lives > 1 ? 1 : 0;
}

std::string WorldTotals::describe(double seconds) const {
  return fmt::format(
      "{} worlds, {} steps ({:.0f}/s), {} rows; {} preemptions; cache: {} tokens reused, {} hits, {} copies, {} waits, "
      "{} blocks forgotten, {} of them evicted, {} saved, {} loaded ({} second lives); ended: {} stop, {} length, "
      "{} cancelled, {} failed; {} drafts, {} accepted",
      num_worlds, num_steps, static_cast<double>(num_steps) / seconds, num_rows, num_preemptions, num_cached_tokens,
      num_hits, num_copies, num_passed_over, num_blocks_removed, num_evictions, num_blocks_saved, num_blocks_loaded,
      num_second_lives, num_stopped, num_at_length, num_cancelled, num_failed, num_draft_tokens, num_accepted_tokens);
}

// Two processes, one after the other, over one store: the same requests, but those that have a key of their own have
// another one, and must find nothing.
WorldResult run_two_lives(World world, const std::function<WorldResult(const World&, MemoryStore*)>& live,
                          std::atomic<uint64_t>& clock_ns) {
  MemoryStore store(world.options.block_tokens, *world.store, world.seed);
  store.clock_ns = &clock_ns;
  const WorldResult first = live(world, &store);
  if (!first.fault.empty()) return first;
  store.restart();
  for (WorldRequest& asked : world.requests) {
    if (asked.request.cache_key.low != 0) asked.request.cache_key.low += world.requests.size();
  }
  WorldResult second = live(world, &store);
  if (!second.fault.empty()) second.fault = "in the second life: " + second.fault;
  second.num_lives = 2;
  return second;
}

WorldResult run_echo_world(uint64_t seed) {
  static const WorldShape shape = echo_world_shape();
  static const TokenTable table = echo_tokens(shape.vocab_size);
  const World world = make_world(seed, shape);
  std::vector<Answer> alone;
  for (const WorldRequest& asked : world.requests) alone.push_back(echo_answer(world, asked.request, table));
  std::atomic<uint64_t> clock_ns{0};
  const auto live = [&](const World& its_world, MemoryStore* store) {
    EchoExecutor executor({.vocab_size = shape.vocab_size,
                           .num_blocks = world.options.num_blocks,
                           .block_tokens = world.options.block_tokens,
                           .max_rows = world.options.max_num_batched_tokens,
                           .max_slices = world.options.max_num_seqs,
                           .max_scored_rows = 1 + static_cast<uint32_t>(seed % 11),
                           .max_context = world.options.max_model_len,
                           .clock_ns = &clock_ns,
                           .ns_per_step = world.ns_per_step,
                           .ns_per_row = world.ns_per_row,
                           .period = world.echo_period});
    return run_world(its_world, executor, &executor, table, alone, clock_ns, store);
  };
  return world.store ? run_two_lives(world, live, clock_ns) : live(world, nullptr);
}

}  // namespace slipstream
