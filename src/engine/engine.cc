#include "engine/engine.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <span>
#include <utility>

#include "base/log.h"
#include "cache/kv_ledger.h"
#include "engine/mail.h"
#include "engine/output.h"
#include "engine/scheduler.h"
#include "engine/sequence.h"
#include "engine/step_budget.h"
#include "engine/step_plan.h"
#include "engine/stream_state.h"
#include "engine/wake_list.h"
#include "sample/logit_rules.h"
#include "sample/sampler.h"

namespace slipstream {
namespace {

// One thread's scratch memory for sampling is made of these: aligned, and on cache lines of its own.
struct alignas(64) CacheLine {
  std::byte bytes[64];
};

SchedulerOptions scheduler_options(const EngineOptions& options, const Executor& executor) {
  return {.max_num_seqs = std::min(options.max_num_seqs, executor.max_slices()),
          .max_rows = std::min(options.max_num_batched_tokens, executor.max_rows()),
          .max_model_len = options.max_model_len};
}

KvLedgerOptions ledger_options(const EngineOptions& options) {
  return {.num_blocks = options.num_blocks,
          .block_tokens = options.block_tokens,
          .prefix_cache = options.prefix_cache,
          .hash_seed = options.cache_seed};
}

Error stopping_error() {
  return Error{ErrorKind::kUnavailable, "the server is stopping; the answer was cut off", {}, {}};
}

}  // namespace

struct Engine::State {
  State(const EngineOptions& its_options, Executor& its_executor, ThreadPool& its_pool, const TokenTable* its_table,
        Clock its_clock);

  bool step();
  void take_mail();
  void sample(const StepPlan& plan, const Logits& logits);
  void judge(const StepPlan& plan);
  void publish(const StepPlan& plan);
  void send_news(Sequence& sequence, std::optional<FinishReason> finish);
  void count(const StepPlan& plan, uint64_t begin_ns, uint32_t num_answers);
  void end_all();
  void update_waiting();
  uint32_t num_answers() const;
  Status admit_to_queue(uint64_t num_tokens);
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
  Scheduler scheduler;
  StepBudget budget;
  std::vector<Mail> mail;
  std::vector<Sample> samples;         // [the plan's slices]
  struct Draw {
    uint32_t slice = 0;
    uint32_t row = 0;  // of the logits
  };
  std::vector<Draw> draws;
  size_t scratch_lines = 0;
  std::vector<CacheLine> scratch;      // [num_threads][scratch_lines]
  WakeList wakes;
  EngineStats now;                     // becomes `stats` at the end of a step

  // Any thread.
  std::atomic<bool> draining{false};
  std::atomic<bool> stopping{false};
  std::atomic<uint64_t> num_unfinished{0};      // submitted and not ended
  std::atomic<uint64_t> num_mailed{0};          // requests in the inbox, and their tokens
  std::atomic<uint64_t> num_mailed_tokens{0};
  std::atomic<uint64_t> num_waiting{0};         // requests the scheduler lets wait, and their tokens
  std::atomic<uint64_t> num_waiting_tokens{0};
  mutable std::mutex stats_mutex;               // guards `stats`
  EngineStats stats;
};

Engine::State::State(const EngineOptions& its_options, Executor& its_executor, ThreadPool& its_pool,
                     const TokenTable* its_table, Clock its_clock)
    : options(its_options),
      executor(its_executor),
      pool(its_pool),
      table(its_table),
      clock(its_clock),
      ledger(ledger_options(options)),
      scheduler(scheduler_options(options, executor), ledger),
      budget(options.max_step_ms, scheduler_options(options, executor).max_rows),
      scratch_lines((sampler_scratch_bytes(executor.vocab_size()) + sizeof(CacheLine) - 1) / sizeof(CacheLine)),
      scratch(scratch_lines * pool.num_threads()),
      wakes(options.max_num_seqs) {
  const uint32_t max_slices = scheduler_options(options, executor).max_num_seqs;
  samples.reserve(max_slices);
  draws.reserve(max_slices);
  now.blocks_total = options.num_blocks;
  stats = now;
}

bool Engine::State::step() {
  take_mail();  // submits and cancels: the only way in
  const uint64_t begin_ns = clock.now_ns();
  const uint32_t answers = num_answers();
  const StepPlan& plan = scheduler.plan(budget.rows(answers));  // reserves blocks; may send the newest back to wait
  if (plan.empty()) return false;
  const Logits logits = executor.run(plan.input());
  sample(plan, logits);            // a token for each slice that reached its sequence's end
  judge(plan);                     // its text; is it the last: stop, length
  scheduler.commit(plan, samples); // the only place a sequence advances or ends
  publish(plan);                   // text to readers
  count(plan, begin_ns, answers);  // numbers to /metrics
  return true;
}

void Engine::State::take_mail() {
  inbox->take(mail);
  for (Mail& letter : mail) {
    if (!letter.submitted.empty()) {
      num_mailed.fetch_sub(1);
      num_mailed_tokens.fetch_sub(letter.submitted.front().num_tokens());
      scheduler.add(letter.submitted);
    } else if (Sequence* sequence = letter.cancelled->sequence) {  // else it ended meanwhile
      letter.cancelled->sequence = nullptr;
      scheduler.cancel(*sequence);
      num_unfinished.fetch_sub(1);
      ++now.num_cancelled;
    }
  }
  mail.clear();
  update_waiting();
}

void Engine::State::sample(const StepPlan& plan, const Logits& logits) {
  samples.assign(plan.slices().size(), Sample{});
  draws.clear();
  uint32_t row = 0;
  const StepInput input = plan.input();
  for (uint32_t slice = 0; slice < samples.size(); ++slice) {
    samples[slice].finite = logits.slice_finite[slice] != 0;
    if (!input.slices[slice].wants_logits) continue;
    if (samples[slice].finite) draws.push_back({slice, row});
    ++row;
  }
  if (draws.empty()) return;
  pool.run([&](uint32_t thread) {
    const Range range = split(static_cast<uint32_t>(draws.size()), thread, pool.num_threads());
    const auto own_scratch = std::as_writable_bytes(std::span(scratch).subspan(thread * scratch_lines, scratch_lines));
    for (uint32_t i = range.begin; i < range.end; ++i) {
      const Sequence& sequence = *plan.slices()[draws[i].slice].sequence;
      const DrawPosition where{.position = sequence.num_tokens(), .choice = sequence.choice};
      const std::span<float> own_logits = logits.rows.span(draws[i].row);
      apply_logit_rules(own_logits, sequence.sampling, sequence.counts);
      samples[draws[i].slice].token = sample_token(own_logits, sequence.sampling, where, own_scratch);
    }
  });
}

void Engine::State::judge(const StepPlan& plan) {
  for (const Draw& draw : draws) {
    Sample& sample = samples[draw.slice];
    sample.finish = plan.slices()[draw.slice].sequence->output.put(*sample.token);
  }
}

void Engine::State::publish(const StepPlan& plan) {
  for (uint32_t slice = 0; slice < samples.size(); ++slice) {
    Sequence& sequence = *plan.slices()[slice].sequence;
    const Output& output = sequence.output;
    const bool ended = samples[slice].finish.has_value() || !samples[slice].finite;
    const uint32_t num_news = output.num_tokens_since_take();
    const bool is_first = num_news == output.num_tokens();
    if (num_news > 0 && (is_first || num_news >= options.stream_interval || ended))
      send_news(sequence, samples[slice].finish);
    if (!samples[slice].finite) {
      wakes.add(sequence.stream->queue,
                add_error(*sequence.stream,
                          {ErrorKind::kModel,
                           fmt::format("the model's result at token {} is not finite; this answer ends here",
                                       sequence.num_computed),
                           {},
                           {}}));
      ++now.num_failed;
    }
    if (!ended) continue;
    sequence.stream->sequence = nullptr;
    num_unfinished.fetch_sub(1);
    ++now.num_ended;
  }
  scheduler.clear_ended();
  wakes.post();
}

void Engine::State::send_news(Sequence& sequence, std::optional<FinishReason> finish) {
  Output& output = sequence.output;
  const EventPart part{output.text(), output.num_tokens_since_take(), *sequence.num_cached, finish};
  wakes.add(sequence.stream->queue, add_event(*sequence.stream, part));
  output.take();
}

void Engine::State::count(const StepPlan& plan, uint64_t begin_ns, uint32_t num_answers_before) {
  const uint64_t end_ns = clock.now_ns();
  const double step_ms = static_cast<double>(end_ns - begin_ns) * 1e-6;
  const uint32_t answer_rows = std::min(num_answers_before, plan.num_rows());
  budget.learn(plan.num_rows(), answer_rows, step_ms);
  ++now.num_steps;
  now.num_rows += plan.num_rows();
  now.num_sampled += draws.size();
  now.last_step_ns = end_ns;
  now.last_step_ms = step_ms;
  now.num_preemptions = scheduler.num_preemptions();
  now.num_cached_tokens = scheduler.num_cached_tokens();
  for (const CacheChange& change : ledger.changes()) {
    ++(change.kind == CacheChange::Kind::kStored ? now.num_blocks_stored : now.num_blocks_removed);
  }
  ledger.clear_changes();
  update_waiting();
  // The legend is in HACKING.md.
  LOG_DEBUG("step {}  rows {} = {} seqs + {} prompt  kv {}/{}  wait {}  {:.1f} ms  out {}", now.num_steps,
            plan.num_rows(), answer_rows, plan.num_rows() - answer_rows, now.blocks_in_use, ledger.num_blocks(),
            now.num_waiting, step_ms, draws.size());
}

// The snapshot that other threads see.
void Engine::State::update_waiting() {
  num_waiting.store(scheduler.waiting().size());
  num_waiting_tokens.store(scheduler.num_waiting_tokens());
  now.num_running = static_cast<uint32_t>(scheduler.running().size());
  now.num_waiting = static_cast<uint32_t>(scheduler.waiting().size());
  now.blocks_in_use = ledger.num_blocks() - ledger.num_free();
  now.blocks_remembered = ledger.num_remembered();
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
    scheduler.cancel(*sequence);
    num_unfinished.fetch_sub(1);
  }
  wakes.post();
  update_waiting();
}

Engine::Engine(const EngineOptions& options, Executor& executor, ThreadPool& pool, const TokenTable* table, Clock clock)
    : state_(std::make_unique<State>(options, executor, pool, table, clock)) {}

Engine::~Engine() { state_->end_all(); }

Result<TextStream> Engine::submit(Request request, ResumeQueue* reader) {
  State& state = *state_;
  RETURN_IF_ERROR(state.check_request(request));
  RETURN_IF_ERROR(state.admit_to_queue(request.prompt.size()));

  const auto num_prompt_tokens = static_cast<uint32_t>(request.prompt.size());
  const uint32_t max_tokens = std::min(request.max_tokens, state.options.max_model_len - num_prompt_tokens);
  const uint32_t longest = num_prompt_tokens + max_tokens;
  OutputRules rules{.stop = std::move(request.stop),
                    .eos_tokens = state.options.eos_tokens,
                    .max_tokens = max_tokens,
                    .tokens_per_take = state.options.stream_interval};
  if (request.ignore_eos) rules.eos_tokens = {};

  // All memory this request will need is taken here, on its own thread.
  auto stream = std::make_shared<StreamState>();
  Mail letter;
  Sequence& sequence = letter.submitted.emplace_back(Output(state.table, std::move(rules)), stream);
  sequence.sampling = std::move(request.sampling);
  sequence.choice = request.choice;
  sequence.num_prompt_tokens = num_prompt_tokens;
  sequence.tokens = std::move(request.prompt);
  if (needs_counts(sequence.sampling)) {
    sequence.counts = TokenCounts(longest);
    for (const TokenId token : sequence.tokens) sequence.counts.add_prompt(token);
  }
  sequence.tokens.reserve(longest);
  sequence.table.reserve(state.ledger.blocks_for(longest));
  stream->queue = reader;
  stream->sequence = &sequence;
  stream->inbox = state.inbox;
  stream->gathered.text.reserve(sequence.output.text_capacity());
  state.inbox->put(std::move(letter));
  return TextStream(std::move(stream));
}

Status Engine::State::check_request(const Request& request) const {
  CHECK(request.max_tokens >= 1, "a request for no tokens");
  if (request.prompt.empty()) return invalid_param("prompt", "the prompt has no tokens");
  if (request.prompt.size() >= options.max_model_len) {
    Error error = invalid_param(
        "prompt", "the prompt has {} tokens; this model's context holds {}, of which one is needed for an answer",
        request.prompt.size(), options.max_model_len);
    error.code = "context_length_exceeded";
    return error;
  }
  for (const TokenId token : request.prompt) {
    if (token >= executor.vocab_size()) {
      return invalid_param("prompt", "token {} is not in the model's vocabulary of {}", token, executor.vocab_size());
    }
  }
  for (const LogitBias& bias : request.sampling.logit_bias) {
    if (bias.token >= executor.vocab_size()) {
      return invalid_param("logit_bias", "'logit_bias' has the token id {}; this model's vocabulary ends at {}.",
                           bias.token, executor.vocab_size() - 1);
    }
  }
  return ok_status();
}

// Counts the request as unfinished and mailed, or says why not; then nothing has changed.
Status Engine::State::admit_to_queue(uint64_t num_tokens) {
  // Counted before `draining` is read: whoever sets that and then sees none unfinished knows that nobody is between
  // the two.
  num_unfinished.fetch_add(1);
  const uint64_t requests = num_mailed.fetch_add(1) + 1 + num_waiting.load();
  const uint64_t tokens = num_mailed_tokens.fetch_add(num_tokens) + num_tokens + num_waiting_tokens.load();
  const bool is_full = requests > options.max_waiting_requests || tokens > options.max_waiting_tokens;
  const bool is_draining = draining.load();
  if (!is_full && !is_draining) return ok_status();

  num_mailed.fetch_sub(1);
  num_mailed_tokens.fetch_sub(num_tokens);
  num_unfinished.fetch_sub(1);
  inbox->wake();  // an ending run() waits for it
  if (is_draining)
    return Error{ErrorKind::kUnavailable, "the server is shutting down and takes no new requests", {}, {}};
  return Error{
      ErrorKind::kOverloaded,
      fmt::format(
          "the queue is full: {} requests of at most {} wait, with {} prompt tokens of at most {}; try again later",
          requests - 1, options.max_waiting_requests, tokens - num_tokens, options.max_waiting_tokens),
      {},
      {}};
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
}

void Engine::drain() { state_->draining.store(true); }

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
  stats.num_waiting += static_cast<uint32_t>(state_->num_mailed.load());
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
  for (const Sequence& sequence : scheduler.waiting()) add("waiting", sequence);
  return text;
}

std::string Engine::check() const { return state_->scheduler.check(); }
std::vector<BlockId> Engine::blank_blocks() const { return state_->ledger.blank_blocks(); }

}  // namespace slipstream
