#include "engine/engine.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <span>
#include <utility>

#include "base/log.h"
#include "cache/kv_ledger.h"
#include "engine/block_traffic.h"
#include "engine/mail.h"
#include "engine/output.h"
#include "engine/queue_bounds.h"
#include "engine/row_sampler.h"
#include "engine/scheduler.h"
#include "engine/sequence.h"
#include "engine/step_budget.h"
#include "engine/step_plan.h"
#include "engine/stream_state.h"
#include "engine/wake_list.h"
#include "sample/logit_rules.h"

namespace slipstream {
namespace {

SchedulerOptions scheduler_options(const EngineOptions& options, const Executor& executor) {
  return {.max_num_seqs = std::min(options.max_num_seqs, executor.max_slices()),
          .max_rows = std::min(options.max_num_batched_tokens, executor.max_rows()),
          .max_scored_rows = executor.max_logit_rows() - std::min(options.max_num_seqs, executor.max_slices()),
          .max_drafts = options.max_drafts,
          .max_model_len = options.max_model_len,
          .queue = {.num_clients = options.num_clients, .quantum_tokens = options.turn_tokens}};
}

KvLedgerOptions ledger_options(const EngineOptions& options) {
  return {.num_blocks = options.num_blocks,
          .block_tokens = options.block_tokens,
          .prefix_cache = options.prefix_cache,
          .hash_seed = options.cache_seed,
          .max_entries = options.max_cache_entries};
}

OutputRules output_rules(Request& request, const EngineOptions& options) {
  const auto num_prompt_tokens = static_cast<uint32_t>(request.prompt.size());
  OutputRules rules{.stop = std::move(request.stop),
                    .eos_tokens = options.eos_tokens,
                    .stop_tokens = std::move(request.stop_tokens),
                    .include_stop = request.include_stop,
                    .min_tokens = request.min_tokens,
                    .max_tokens = std::min(request.max_tokens, options.max_model_len - num_prompt_tokens),
                    .tokens_per_take = options.stream_interval + options.max_drafts,
                    .report_tokens = request.report_tokens,
                    .top_logprobs = request.top_logprobs};
  if (request.ignore_eos) rules.eos_tokens = {};
  return rules;
}

// What a request keeps in memory while it waits, in tokens of four bytes: its prompt, the counts that penalties are
// reckoned from (up to four numbers for each token it may come to), what drafts are looked up in, its stop strings
// (their bytes, and a number each).
uint64_t waiting_tokens(const Request& request, const EngineOptions& options) {
  uint64_t tokens = request.prompt.size();
  const uint64_t longest = std::min<uint64_t>(tokens + request.max_tokens, options.max_model_len);
  if (needs_counts(request.sampling)) tokens += 4 * longest;
  if (options.max_drafts > 0) tokens += PromptLookup::memory_tokens(static_cast<uint32_t>(longest));
  for (const std::string& stop : request.stop) tokens += stop.size() * 5 / 4;
  return tokens;
}

uint64_t num_prompt_logprobs(const Request& request) {
  return request.prompt_logprobs ? (request.prompt.size() - 1) * (1 + uint64_t{request.top_logprobs.value()}) : 0;
}

Error too_many_logprobs_error() {
  return Error{ErrorKind::kOverloaded, "too many prompts' logprobs are being computed; try again later", {}, {}};
}

Error draining_error() {
  return Error{ErrorKind::kUnavailable, "the server is shutting down and takes no new requests", {}, {}};
}

double seconds_between(uint64_t begin_ns, uint64_t end_ns) { return static_cast<double>(end_ns - begin_ns) * 1e-9; }

Error stopping_error() {
  return Error{ErrorKind::kUnavailable, "the server is stopping; the answer was cut off", {}, {}};
}

}  // namespace

struct Engine::State {
  State(const EngineOptions& its_options, Executor& its_executor, ThreadPool& its_pool, const TokenTable* its_table,
        Clock its_clock, BlockStore* store);

  bool step();
  void take_mail();
  void judge(const StepPlan& plan, const Logits& logits, std::span<const SampledRow> rows);
  void publish(const StepPlan& plan);
  void send_news(Sequence& sequence, std::optional<FinishReason> finish);
  void count(const StepPlan& plan, uint64_t begin_ns, uint32_t num_answers);
  void end_all();
  void update_stats();
  void leave_queue(Sequence& sequence);
  void note_admissions(const StepPlan& plan, uint64_t now_ns);
  void note_sample(Sequence& sequence, const Sample& sample, uint64_t now_ns);
  uint32_t num_answers() const;
  Status enter_queue(uint32_t client, uint64_t num_waiting_tokens, uint64_t num_logprobs);
  void leave(const Sequence& sequence);
  Status check_request(const Request& request) const;
  std::string describe() const;

  // Constant after construction.
  const EngineOptions options;
  Executor& executor;
  ThreadPool& pool;
  const TokenTable* const table;
  const Clock clock;
  const std::shared_ptr<Inbox> inbox = std::make_shared<Inbox>();

  // Engine thread.
  KvLedger ledger;
  BlockTraffic traffic;
  Scheduler scheduler;
  StepBudget budget;
  DraftBudget draft_budget;
  std::vector<Mail> mail;
  RowSampler sampler;
  std::vector<Sample> samples;         // [the plan's slices]
  std::vector<TokenId> drawn;          // theirs
  WakeList wakes;
  EngineStats now;                     // becomes `stats` at the end of a step

  // Any thread.
  std::atomic<bool> draining{false};
  std::atomic<bool> stopping{false};
  std::atomic<uint64_t> num_unfinished{0};      // submitted and not ended
  std::atomic<uint64_t> prompt_logprobs{0};     // that those have to give
  QueueBounds bounds;
  mutable std::mutex stats_mutex;               // guards `stats`
  EngineStats stats;
};

Engine::State::State(const EngineOptions& its_options, Executor& its_executor, ThreadPool& its_pool,
                     const TokenTable* its_table, Clock its_clock, BlockStore* store)
    : options(its_options),
      executor(its_executor),
      pool(its_pool),
      table(its_table),
      clock(its_clock),
      ledger(ledger_options(options)),
      traffic(ledger, executor, store, clock, options.max_model_len),
      scheduler(scheduler_options(options, executor), ledger, &traffic,
                options.max_drafts > 0 ? &draft_budget : nullptr),
      budget(options.max_step_ms, scheduler_options(options, executor).max_rows),
      draft_budget(executor.max_logit_rows(), options.draft_allowance),
      sampler(executor, pool),
      wakes(options.max_num_seqs),
      bounds(options.max_waiting_requests, options.max_waiting_tokens, options.num_clients) {
  const uint32_t max_slices = scheduler_options(options, executor).max_num_seqs;
  samples.reserve(max_slices);
  drawn.reserve(executor.max_logit_rows());
  now.blocks_total = options.num_blocks;
  now.block_tokens = options.block_tokens;
  stats = now;
}

bool Engine::State::step() {
  ledger.set_time(clock.now_ns());
  take_mail();  // submits, cancels, control: the only way in
  traffic.take_arrivals();  // blocks from the store
  const uint64_t begin_ns = clock.now_ns();
  const uint32_t answers = num_answers();
  const StepPlan& plan = scheduler.plan(budget.rows(answers));  // reserves blocks; may send the newest back to wait
  traffic.follow();  // what that forgot goes to the store, before it is written over
  note_admissions(plan, begin_ns);
  update_stats();
  if (plan.empty() && traffic.is_waiting()) return traffic.wait(), true;
  if (plan.empty()) return false;
  const Logits logits = executor.run(plan.input());
  const std::span<const SampledRow> rows = sampler.run(plan, logits);  // a token for each slice that reached its end
  judge(plan, logits, rows);       // its text; is it the last: stop, length
  scheduler.commit(plan, samples); // the only place a sequence advances or ends
  traffic.follow();                // what that forgot goes to the store too
  count(plan, begin_ns, answers);  // numbers to /metrics: there before a reader sees what they count
  publish(plan);                   // text to readers
  return true;
}

void Engine::State::take_mail() {
  inbox->take(mail);
  for (Mail& letter : mail) {
    if (!letter.submitted.empty()) {
      scheduler.add(letter.submitted);
    } else if (letter.clears_cache) {
      traffic.forget_all();
    } else if (Sequence* sequence = letter.cancelled->sequence) {  // else it ended meanwhile
      letter.cancelled->sequence = nullptr;
      leave_queue(*sequence);
      leave(*sequence);
      scheduler.cancel(*sequence);
      ++now.num_cancelled;
    }
  }
  mail.clear();
}

void Engine::State::judge(const StepPlan& plan, const Logits& logits, std::span<const SampledRow> rows) {
  samples.assign(plan.slices().size(), Sample{});
  drawn.clear();
  for (uint32_t slice = 0; slice < samples.size(); ++slice) {
    const auto& [sequence, num_rows, num_logits, drafts] = plan.slices()[slice];
    samples[slice].finite = logits.slice_finite[slice] != 0 || !drafts.empty();  // with drafts it is not known yet
    if (!drafts.empty()) ++now.num_drafts;
    now.num_draft_tokens += drafts.size();
    const bool is_prompt_alone = sequence->output.max_tokens() == 0;
    if (is_prompt_alone && num_rows == sequence->pending()) samples[slice].finish = FinishReason::kLength;
  }
  for (const SampledRow& row : rows) {
    Sequence& sequence = *plan.slices()[row.slice].sequence;
    if (row.is_known) {
      sequence.prompt_logprobs.insert(sequence.prompt_logprobs.end(), row.logprobs.begin(), row.logprobs.end());
      continue;
    }
    Sample& sample = samples[row.slice];
    if (sample.finish) continue;  // a token before it was the last
    drawn.push_back(row.token);
    sample.tokens = std::span(drawn).last(sample.tokens.size() + 1);
    sample.finish = sequence.output.put(row.token, row.logprobs);
    ++now.num_sampled;
    if (sample.tokens.size() > 1) ++now.num_accepted_tokens;
  }
}

void Engine::State::publish(const StepPlan& plan) {
  for (uint32_t slice = 0; slice < samples.size(); ++slice) {
    Sequence& sequence = *plan.slices()[slice].sequence;
    const Output& output = sequence.output;
    const bool ended = samples[slice].finish.has_value() || !samples[slice].finite;
    const uint32_t num_news = output.num_tokens_since_take();
    const bool is_first = num_news == output.num_tokens();
    const bool has_news = num_news > 0 || samples[slice].finish;
    if (has_news && (is_first || num_news >= options.stream_interval || ended))
      send_news(sequence, samples[slice].finish);
    if (!samples[slice].finite) {
      wakes.add(sequence.stream->queue,
                add_error(*sequence.stream,
                          {ErrorKind::kModel,
                           fmt::format("the model's result at token {} is not finite; this answer ends here",
                                       sequence.num_computed),
                           {},
                           {}}));
    }
    if (!ended) continue;
    sequence.stream->sequence = nullptr;
    leave(sequence);
  }
  scheduler.clear_ended();
  wakes.post();
}

// Whoever computes for the first time is no longer of the queue.
void Engine::State::note_admissions(const StepPlan& plan, uint64_t now_ns) {
  for (const PlannedSlice& slice : plan.slices()) {
    if (slice.sequence->num_waiting_tokens == 0) continue;
    leave_queue(*slice.sequence);
    now.queue_time.add(seconds_between(slice.sequence->arrived_ns, now_ns));
  }
}

void Engine::State::note_sample(Sequence& sequence, const Sample& sample, uint64_t now_ns) {
  const size_t num_tokens = sample.tokens.size();
  if (num_tokens > 0 && sequence.output.num_tokens() == num_tokens) {
    now.num_prompt_tokens += sequence.num_prompt_tokens;
    now.time_to_first_token.add(seconds_between(sequence.arrived_ns, now_ns));
  } else if (num_tokens > 0) {
    now.inter_token_latency.add(seconds_between(sequence.last_token_ns, now_ns));
  }
  for (size_t i = 1; i < num_tokens; ++i) now.inter_token_latency.add(0);  // they come together
  if (num_tokens > 0) sequence.last_token_ns = now_ns;
  if (!sample.finite) ++now.num_failed;
  if (sample.finish == FinishReason::kStop) ++now.num_stopped;
  if (sample.finish && sequence.output.num_tokens() == 0) now.num_prompt_tokens += sequence.num_prompt_tokens;
  if (sample.finite && !sample.finish) return;
  ++now.num_ended;
  now.whole_answer.add(seconds_between(sequence.arrived_ns, now_ns));
}

void Engine::State::leave_queue(Sequence& sequence) {
  const uint64_t num_tokens = std::exchange(sequence.num_waiting_tokens, 0);
  if (num_tokens > 0) bounds.leave(sequence.client, num_tokens);
}

void Engine::State::send_news(Sequence& sequence, std::optional<FinishReason> finish) {
  Output& output = sequence.output;
  const EventPart part{.text = output.text(),
                       .tokens = output.tokens(),
                       .logprobs = output.logprobs(),
                       .text_begins = output.text_begins(),
                       .prompt_logprobs = &sequence.prompt_logprobs,
                       .num_tokens = output.num_tokens_since_take(),
                       .cached_tokens = *sequence.num_cached,
                       .reuse = sequence.reuse,
                       .finish = finish};
  wakes.add(sequence.stream->queue, add_event(*sequence.stream, part));
  output.take();
}

void Engine::State::count(const StepPlan& plan, uint64_t begin_ns, uint32_t num_answers_before) {
  const uint64_t end_ns = clock.now_ns();
  for (uint32_t slice = 0; slice < samples.size(); ++slice) {
    note_sample(*plan.slices()[slice].sequence, samples[slice], end_ns);
  }
  const double step_ms = static_cast<double>(end_ns - begin_ns) * 1e-6;
  const uint32_t answer_rows = std::min(num_answers_before, plan.num_rows());
  if (plan.num_drafts() == 0) budget.learn(plan.num_rows(), answer_rows, step_ms);
  if (options.max_drafts > 0) draft_budget.settle(plan, samples, step_ms);
  ++now.num_steps;
  now.num_rows += plan.num_rows();
  now.last_step_ns = end_ns;
  now.last_step_ms = step_ms;
  now.num_preemptions = scheduler.num_preemptions();
  now.num_queried_tokens = scheduler.num_queried_tokens();
  now.num_cached_tokens = scheduler.num_cached_tokens();
  update_stats();
  // The legend is in HACKING.md.
  LOG_DEBUG("step {}  rows {} = {} seqs + {} {}  kv {}/{}  wait {}  {:.1f} ms  out {}", now.num_steps,
            plan.num_rows(), answer_rows, plan.num_rows() - answer_rows, plan.num_drafts() > 0 ? "drafts" : "prompt",
            now.blocks_in_use, ledger.num_blocks(), now.num_waiting, step_ms, drawn.size());
}

// The snapshot that other threads see.
void Engine::State::update_stats() {
  now.num_running = static_cast<uint32_t>(scheduler.running().size());
  now.num_waiting = static_cast<uint32_t>(scheduler.waiting().size());
  now.num_sent_back = static_cast<uint32_t>(scheduler.waiting().num_sent_back());
  now.blocks_in_use = ledger.num_blocks() - ledger.num_free();
  now.blocks_remembered = ledger.num_remembered();
  now.cache = scheduler.cache();
  now.cache.evictions = ledger.num_evictions();
  now.num_blocks_stored = ledger.num_stored();
  now.num_blocks_removed = ledger.num_removed();
  now.cache.tokens_computed = now.num_rows - (now.num_draft_tokens - now.num_accepted_tokens);
  now.cache.entries = ledger.num_entries();
  now.num_passed_over = scheduler.num_passed_over();
  const std::lock_guard lock(stats_mutex);
  stats = now;
}

uint32_t Engine::State::num_answers() const {
  return static_cast<uint32_t>(std::ranges::count(scheduler.running(), 1u, &Sequence::pending));
}

void Engine::State::end_all() {
  take_mail();
  while (Sequence* sequence = scheduler.any()) {
    const std::shared_ptr<StreamState> stream = sequence->stream;
    if (sequence->output.num_tokens_since_take() > 0) send_news(*sequence, std::nullopt);
    wakes.add(stream->queue, add_error(*stream, stopping_error()));
    stream->sequence = nullptr;
    leave_queue(*sequence);
    leave(*sequence);
    scheduler.cancel(*sequence);
  }
  wakes.post();
  update_stats();
}

Engine::Engine(const EngineOptions& options, Executor& executor, ThreadPool& pool, const TokenTable* table, Clock clock,
               BlockStore* store)
    : state_(std::make_unique<State>(options, executor, pool, table, clock, store)) {}

Engine::~Engine() { state_->end_all(); }

Result<TextStream> Engine::submit(Request request, ResumeQueue* reader) {
  State& state = *state_;
  RETURN_IF_ERROR(state.check_request(request));
  const uint64_t num_waiting_tokens = waiting_tokens(request, state.options);
  const uint64_t num_logprobs = num_prompt_logprobs(request);
  RETURN_IF_ERROR(state.enter_queue(request.client, num_waiting_tokens, num_logprobs));

  // All memory this request will need is taken here, on its own thread.
  auto stream = std::make_shared<StreamState>();
  Mail letter;
  Sequence& sequence = letter.submitted.emplace_back(Output(state.table, output_rules(request, state.options)), stream);
  const auto num_prompt_tokens = static_cast<uint32_t>(request.prompt.size());
  const uint32_t longest = num_prompt_tokens + sequence.output.max_tokens();
  sequence.prompt_logprobs.reserve(num_logprobs);
  if (request.prompt_logprobs) sequence.scored_until = num_prompt_tokens - 1;
  sequence.sampling = std::move(request.sampling);
  sequence.choice = request.choice;
  sequence.num_prompt_tokens = num_prompt_tokens;
  sequence.client = request.client;
  sequence.extra = request.cache_key;
  sequence.wider_extra = request.wider_cache_key;
  sequence.num_expected_tokens = std::min(sequence.output.max_tokens(), kExpectedAnswerTokens);
  sequence.arrived_ns = request.arrived_ns != 0 ? request.arrived_ns : state.clock.now_ns();
  sequence.num_waiting_tokens = num_waiting_tokens;
  sequence.tokens = std::move(request.prompt);
  if (needs_counts(sequence.sampling)) {
    sequence.counts = TokenCounts(longest);
    for (const TokenId token : sequence.tokens) sequence.counts.add_prompt(token);
  }
  if (state.options.max_drafts > 0) sequence.lookup = PromptLookup(sequence.tokens, longest);
  sequence.tokens.reserve(longest);
  sequence.table.reserve(state.ledger.blocks_for(longest));
  stream->queue = reader;
  stream->sequence = &sequence;
  stream->inbox = state.inbox;
  stream->reserve(sequence.output);
  state.inbox->put(std::move(letter));
  return TextStream(std::move(stream));
}

Status Engine::State::check_request(const Request& request) const {
  CHECK(request.client < options.num_clients, "client {} of {}", request.client, options.num_clients);
  CHECK(!request.prompt_logprobs || request.top_logprobs, "a prompt is scored without top_logprobs");
  CHECK(!request.prompt_logprobs || executor.max_logit_rows() > executor.max_slices(), "no room to score prompts");
  CHECK(request.top_logprobs.value_or(0) <= kMaxTopLogprobs, "{} top_logprobs", *request.top_logprobs);
  if (request.prompt.empty()) return invalid_param("prompt", "the prompt has no tokens");
  if (request.prompt.size() >= options.max_model_len) {
    Error error = invalid_param(
        "prompt", "the prompt has {} tokens; this model's context holds {}, of which one is needed for an answer",
        request.prompt.size(), options.max_model_len);
    error.code = "context_length_exceeded";
    return error;
  }
  const uint32_t vocab_size = executor.vocab_size();
  for (const TokenId token : request.prompt) {
    if (token >= vocab_size) {
      return invalid_param("prompt", "token {} is not in the model's vocabulary of {}", token, vocab_size);
    }
  }
  const auto outside = [vocab_size](const char* param, TokenId token) {
    return invalid_param(param, "'{}' has the token id {}; this model's vocabulary ends at {}.", param, token,
                         vocab_size - 1);
  };
  for (const LogitBias& bias : request.sampling.logit_bias) {
    if (bias.token >= vocab_size) return outside("logit_bias", bias.token);
  }
  for (const TokenId token : request.stop_tokens) {
    if (token >= vocab_size) return outside("stop_token_ids", token);
  }
  if (request.min_tokens > 0 && options.eos_tokens.size() + request.stop_tokens.size() >= vocab_size) {
    return invalid_param("stop_token_ids", "'min_tokens' and 'stop_token_ids' leave no token of this model's {}.",
                         vocab_size);
  }
  if (num_prompt_logprobs(request) > options.max_prompt_logprobs) {
    return invalid_param("logprobs", "The prompt's {} tokens with {} logprobs each are more than the {} there may be.",
                         request.prompt.size(), 1 + *request.top_logprobs, options.max_prompt_logprobs);
  }
  return ok_status();
}

// Counts the request as unfinished and waiting, or says why not; then nothing has changed.
Status Engine::State::enter_queue(uint32_t client, uint64_t num_waiting_tokens, uint64_t num_logprobs) {
  // Counted before `draining` is read: whoever sets that and then sees none unfinished knows that nobody is between
  // the two.
  num_unfinished.fetch_add(1);
  const uint64_t all_logprobs = prompt_logprobs.fetch_add(num_logprobs) + num_logprobs;
  const auto enter = [&]() -> Status {
    if (draining.load()) return draining_error();
    if (num_logprobs > 0 && all_logprobs > options.max_prompt_logprobs) return too_many_logprobs_error();
    return bounds.enter(client, num_waiting_tokens);
  };
  Status entered = enter();
  if (entered.ok()) return entered;
  prompt_logprobs.fetch_sub(num_logprobs);
  num_unfinished.fetch_sub(1);
  inbox->wake();  // an ending run() waits for it
  return entered;
}

// The sequence has ended.
void Engine::State::leave(const Sequence& sequence) {
  prompt_logprobs.fetch_sub(uint64_t{sequence.scored_until} * sequence.output.num_logprobs());
  num_unfinished.fetch_sub(1);
}

bool Engine::step() {
  const CheckDumpScope dump([](const void* state) { return static_cast<const State*>(state)->describe(); },
                            state_.get());
  return state_->step();
}

void Engine::run() {
  while (!state_->stopping.load()) {
    if (!step()) state_->inbox->wait();
  }
  state_->end_all();
  while (!idle()) {  // somebody is in the middle of submit()
    state_->inbox->wait();
    state_->end_all();
  }
  state_->traffic.save_all(state_->options.save_timeout_s);
}

void Engine::drain() { state_->draining.store(true); }

void Engine::clear_cache() {
  Mail letter;
  letter.clears_cache = true;
  state_->inbox->put(std::move(letter));
}

bool Engine::idle() const { return state_->num_unfinished.load() == 0; }

void Engine::stop() {
  state_->draining.store(true);
  state_->stopping.store(true);
  state_->inbox->wake();
}

EngineStats Engine::stats() const {
  EngineStats stats;
  {
    const std::lock_guard lock(state_->stats_mutex);
    stats = state_->stats;
  }
  stats.num_waiting = static_cast<uint32_t>(state_->bounds.num_requests()) + stats.num_sent_back;
  stats.disk = state_->traffic.counts();
  stats.draining = state_->draining.load();
  return stats;
}

std::string Engine::describe() const { return state_->describe(); }

std::string Engine::State::describe() const {
  std::string text = fmt::format("{} of {} blocks of {} tokens held, {} remembered; step {}, {} preemptions\n",
                                 ledger.num_blocks() - ledger.num_free(), ledger.num_blocks(), ledger.block_tokens(),
                                 ledger.num_remembered(), now.num_steps, scheduler.num_preemptions());
  text += "sequence           prompt  tokens  computed  blocks  cached\n";
  const auto add = [&](const char* where, const Sequence& sequence) {
    text += fmt::format("{:<8} {:>8} {:>8} {:>7} {:>9} {:>7} {:>7}\n", where, sequence.number,
                        sequence.num_prompt_tokens, sequence.num_tokens(), sequence.num_computed,
                        sequence.table.size(), sequence.num_cached.value_or(0));
  };
  for (const Sequence& sequence : scheduler.running()) add("running", sequence);
  scheduler.waiting().for_each([&](const Sequence& sequence) { add("waiting", sequence); });
  return text;
}

std::string Engine::check() const { return state_->scheduler.check(); }
std::vector<BlockId> Engine::blank_blocks() const { return state_->ledger.blank_blocks(); }

}  // namespace slipstream
