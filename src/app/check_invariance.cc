// slipstream check invariance: promise P1 by hash. One request goes through real engines in many ways: cut, beside
// others, out of the cache, sent back and called again. Each row of its logits that is computed must have the hash that
// it had when the request was alone.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <limits>
#include <memory>

#include "app/checks.h"
#include "app/hashing_executor.h"
#include "app/local_engine.h"
#include "base/random.h"
#include "disk/disk_cache.h"
#include "disk/scratch_folder.h"
#include "engine/capacity.h"
#include "model/model_digest.h"

namespace slipstream {
namespace {

constexpr uint32_t kMaxRows = 512;  // of a step; "all" of a prompt fits
constexpr uint64_t kPromptSeed = 1;
constexpr uint32_t kOlderBlockTokens = 16;
constexpr uint32_t kNumOlder = 4;
constexpr uint64_t kScratchBytes = uint64_t{16} << 30;  // more than a prompt's blocks
// More than a block of kOlderBlockTokens: while it is written, each of the older ones takes another block.
constexpr uint32_t kAnswerTokens = 22;

constexpr size_t kAnswerWords = 3;
constexpr float kAnswerBias = 100;

// The request that is looked at. Its prompt has 5 full blocks of 64 and some more, or 1 in the short form.
struct Watched {
  std::vector<TokenId> prompt;
  uint32_t num_answer_tokens = 0;
  uint32_t length() const { return static_cast<uint32_t>(prompt.size()) + num_answer_tokens; }
  // Its answer is made of few different tokens, so that it repeats itself, and there is something to guess.
  Request request() const {
    Request request;
    request.prompt = prompt;
    request.sampling.temperature = 0;
    for (size_t i = 0; i < kAnswerWords; ++i) request.sampling.logit_bias.push_back({prompt[i], kAnswerBias});
    request.max_tokens = num_answer_tokens;
    request.ignore_eos = true;
    return request;
  }
};

// Who else is there.
enum class Others : uint8_t {
  kNone,
  kRandom,  // arriving before it, with it and after it
  kAlike,   // their prompts begin as its does, and all arrive together
  kOlder,   // their answers grow until there is no block left, and it is the newest
};

struct Case {
  std::string name;
  uint32_t num_threads = 0;          // 0: as on the command line; so too the next
  uint32_t block_tokens = 0;
  uint32_t chunk_tokens = kMaxRows;
  uint32_t num_known = 0;            // so many tokens of its prompt were computed by a request before
  bool from_disk = false;            // ... by another engine, which left them there
  bool prefix_cache = true;
  Others others = Others::kNone;
  uint32_t num_others = 0;
  uint64_t seed = 0;                 // of the others
  uint32_t max_drafts = 0;           // at a time, wherever there is a guess
};

struct Outcome {
  std::vector<std::optional<uint64_t>> hashes;  // [prompt and answer but its last token]
  LocalAnswer answer;
  uint64_t num_preemptions = 0;  // before its end
  uint64_t num_conflicts = 0;
  uint64_t num_from_disk = 0;    // blocks
  uint64_t num_drafts = 0;       // tokens
  double seconds = 0;
};

struct Model {
  const OpenedModel& opened;
  const ComputeOptions& compute;
  CpuExecutorOptions executor;
};

struct OtherRequest {
  std::vector<TokenId> prompt;
  uint32_t num_answer_tokens = 1;
};

std::vector<OtherRequest> make_others(const Case& way, const Watched& watched, uint32_t vocab_size) {
  std::vector<OtherRequest> others;
  for (uint64_t index = 0; index < way.num_others; ++index) {
    const uint64_t seed = 1000 * (way.seed + 1) + index;
    const auto dice = [seed](uint64_t place, uint64_t limit) { return splitmix64(seed, ~place) % limit; };
    OtherRequest& other = others.emplace_back();
    if (way.others == Others::kAlike) {
      const size_t num_alike = watched.prompt.size() - 1 - dice(0, watched.prompt.size() / 2);
      other.prompt.assign(watched.prompt.begin(), watched.prompt.begin() + static_cast<ptrdiff_t>(num_alike));
      other.prompt.push_back((watched.prompt[num_alike] + 1) % vocab_size);
    } else if (way.others == Others::kOlder) {
      other = {made_up_tokens(seed, 20 + dice(0, 20), vocab_size), 80};
    } else {
      other = {made_up_tokens(seed, 1 + dice(0, 120), vocab_size), static_cast<uint32_t>(1 + dice(1, 20))};
    }
  }
  return others;
}

// Blocks for everyone, or, for those who grow: what all have when it is admitted, and fewer more than they will take.
uint32_t num_blocks(const Case& way, uint32_t block_tokens, const Watched& watched,
                    const std::vector<OtherRequest>& others) {
  uint64_t blocks = blocks_for(watched.length(), block_tokens);
  if (way.others == Others::kOlder) {
    for (const OtherRequest& other : others) blocks += blocks_for(other.prompt.size() + 1, block_tokens);
    return static_cast<uint32_t>(blocks + splitmix64(way.seed, 0) % kNumOlder);
  }
  blocks *= 3;  // itself, who was there before it, and copies of tails
  for (const OtherRequest& other : others)
    blocks += blocks_for(other.prompt.size() + other.num_answer_tokens, block_tokens) + 1;
  return static_cast<uint32_t>(blocks);
}

// Another request that begins like it; its next token is another one.
Status compute_known(const Case& way, const Watched& watched, LocalEngine& engine) {
  const auto end = watched.prompt.begin() + static_cast<ptrdiff_t>(way.num_known);
  std::vector<TokenId> before(watched.prompt.begin(), end);
  if (way.num_known + 1 == watched.prompt.size()) before.push_back(watched.prompt.back());
  RETURN_IF_ERROR(engine.ask(std::move(before), 1));
  return engine.step_until_all_ended();
}

// Error: the case is not what it wants to be.
Result<size_t> run_requests(const Case& way, const Watched& watched, const std::vector<OtherRequest>& others,
                            LocalEngine& engine) {
  if (way.num_known > 0 && !way.from_disk) RETURN_IF_ERROR(compute_known(way, watched, engine));
  const bool all_before = way.others == Others::kOlder;
  const size_t num_before = all_before ? others.size() : (others.size() + 1) / 2;
  for (size_t index = 0; index < num_before; ++index)
    RETURN_IF_ERROR(engine.ask(others[index].prompt, others[index].num_answer_tokens));
  if (all_before) {
    RETURN_IF_ERROR(engine.step_until_first_token(num_before - 1));
  } else if (way.others == Others::kRandom) {
    RETURN_IF_ERROR(engine.step());
  }
  ASSIGN_OR_RETURN(const size_t request, engine.ask(watched.request()));
  if (all_before) {
    RETURN_IF_ERROR(engine.step());
    if (engine.stats().num_running != others.size() + 1) return outside("{}: it was not admitted at once", way.name);
  }
  for (size_t index = num_before; index < others.size(); ++index) {
    RETURN_IF_ERROR(engine.ask(others[index].prompt, others[index].num_answer_tokens));
    if (way.others == Others::kRandom) RETURN_IF_ERROR(engine.step());
  }
  while (!engine.answers()[request].ended) RETURN_IF_ERROR(engine.step());
  return request;
}

// An executor with hashes of what it computes, and, in a scratch folder, the cache that it may find there and leave.
struct Place {
  std::unique_ptr<CpuExecutor> executor;
  std::optional<HashingExecutor> hashing;
  std::unique_ptr<DiskCache> disk;  // null: none
};

Result<Place> make_place(const Model& model, const EngineOptions& options, ThreadPool& pool,
                         const std::optional<ScratchFolder>& scratch) {
  CpuExecutorOptions executor_options = model.executor;
  executor_options.max_rows = kMaxRows;
  executor_options.max_logit_rows = kMaxRows;
  Place place;
  ASSIGN_OR_RETURN(place.executor, make_executor(model.opened, options, executor_options, pool));
  place.hashing.emplace(*place.executor, options.num_blocks, options.block_tokens);
  if (!scratch) return place;
  ASSIGN_OR_RETURN(CacheFolder folder, CacheFolder::open(scratch->path()));
  DiskCacheOptions disk;
  disk.max_bytes = kScratchBytes;
  disk.space.model = model_digest(model.opened.config, model.opened.weights, executor_options.activations, pool);
  disk.space.block_tokens = options.block_tokens;
  disk.max_block_bytes = place.hashing->block_bytes();
  ASSIGN_OR_RETURN(place.disk, DiskCache::open(std::move(folder), disk));
  return place;
}

// What another process would have left: another engine with another executor, and the files it wrote before it ended.
Status leave_on_disk(const Case& way, const Watched& watched, const Model& model, const EngineOptions& options,
                     ThreadPool& pool, const std::optional<ScratchFolder>& scratch) {
  ASSIGN_OR_RETURN(Place place, make_place(model, options, pool, scratch));
  LocalEngine engine(options, *place.hashing, pool, place.disk.get());
  RETURN_IF_ERROR(compute_known(way, watched, engine));
  engine.end();
  return ok_status();
}

Result<Outcome> run_case(const Case& way, const Watched& watched, std::span<const TokenId> whole, const Model& model) {
  const Clock clock = Clock::real();
  const double begin_s = clock.now_s();
  ThreadPool pool(way.num_threads != 0 ? way.num_threads : model.compute.threads());
  const std::vector<OtherRequest> others = make_others(way, watched, model.opened.config.vocab_size);
  EngineOptions options;
  options.block_tokens = way.block_tokens != 0 ? way.block_tokens : model.compute.block_tokens;
  options.num_blocks = num_blocks(way, options.block_tokens, watched, others);
  options.max_model_len = watched.length();
  options.max_num_seqs = way.num_others + 1;
  options.max_num_batched_tokens = way.chunk_tokens;
  options.max_step_ms = 0;
  options.prefix_cache = way.prefix_cache;
  options.max_drafts = way.max_drafts;
  options.draft_allowance = std::numeric_limits<double>::infinity();
  std::optional<ScratchFolder> scratch;
  if (way.from_disk) {
    scratch.emplace();
    RETURN_IF_ERROR(leave_on_disk(way, watched, model, options, pool, scratch));
  }
  ASSIGN_OR_RETURN(Place place, make_place(model, options, pool, scratch));
  HashingExecutor& hashing = *place.hashing;
  hashing.watch(whole);
  LocalEngine engine(options, hashing, pool, place.disk.get());
  ASSIGN_OR_RETURN(const size_t request, run_requests(way, watched, others, engine));
  Outcome outcome;
  outcome.num_preemptions = engine.stats().num_preemptions;
  outcome.num_conflicts = hashing.num_conflicts();
  outcome.num_from_disk = engine.stats().disk.hits;
  outcome.num_drafts = engine.stats().num_draft_tokens;
  outcome.answer = engine.answers()[request];
  std::vector<TokenId> computed = watched.prompt;
  computed.insert(computed.end(), outcome.answer.tokens.begin(), outcome.answer.tokens.end() - 1);
  outcome.hashes = hashing.hashes_of(computed);
  outcome.seconds = clock.now_s() - begin_s;
  return outcome;
}

enum class Verdict : uint8_t { kSame, kDiffers, kFailed };
struct Finding {
  Verdict verdict = Verdict::kSame;
  std::string why = {};
};

// Failed: the bits may be the same, but the case was not what its name says.
Finding compare(const Case& way, const Watched& watched, const Outcome& alone, const Outcome& outcome) {
  if (outcome.answer.tokens != alone.answer.tokens) return {Verdict::kDiffers, "another answer"};
  if (outcome.num_conflicts > 0)
    return {Verdict::kDiffers, fmt::format("{} rows computed twice", outcome.num_conflicts)};
  for (size_t row = 0; row < alone.hashes.size(); ++row) {
    if (outcome.hashes[row] && outcome.hashes[row] != alone.hashes[row])
      return {Verdict::kDiffers, fmt::format("row {}", row)};
    if (!outcome.hashes[row] && (row >= outcome.answer.cached_tokens || row + 1 >= watched.prompt.size()))
      return {Verdict::kFailed, fmt::format("row {} was not computed", row)};
  }
  const uint32_t num_reused = outcome.answer.cached_tokens;
  if (way.others != Others::kAlike && num_reused != way.num_known)
    return {Verdict::kFailed, fmt::format("{} tokens reused, expected {}", num_reused, way.num_known)};
  if (way.from_disk && outcome.num_from_disk == 0) return {Verdict::kFailed, "nothing came from the disk"};
  if (way.max_drafts > 0 && outcome.num_drafts == 0) return {Verdict::kFailed, "nothing was guessed"};
  if (way.others == Others::kOlder && outcome.num_preemptions == 0) return {Verdict::kFailed, "nobody was sent back"};
  return {};
}

const char* word(Verdict verdict) {
  return verdict == Verdict::kSame ? "same" : verdict == Verdict::kDiffers ? "DIFFERS" : "FAILED";
}

// Of the rows that every case computes: the prompt's last and the answer's.
uint64_t answer_hash(const Watched& watched, const Outcome& outcome) {
  uint64_t hash = 0;
  for (size_t row = watched.prompt.size() - 1; row < outcome.hashes.size(); ++row)
    hash = splitmix64(hash, outcome.hashes[row].value_or(0));
  return hash;
}

void add_hits(const Watched& watched, uint32_t block_tokens, std::vector<Case>& cases) {
  const auto prompt_tokens = static_cast<uint32_t>(watched.prompt.size());
  for (uint32_t blocks = 1; blocks * block_tokens < prompt_tokens; ++blocks)
    cases.push_back({.name = fmt::format("hit of {} blocks", blocks), .num_known = blocks * block_tokens});
  for (const uint32_t tail : {1u, 7u, block_tokens - 1}) {
    for (const uint32_t blocks : {0u, prompt_tokens / block_tokens - 1}) {
      const uint32_t num_known = blocks * block_tokens + tail;
      if (num_known >= prompt_tokens) continue;
      const std::string name = fmt::format("copied tail: {} blocks and {} tokens", blocks, tail);
      cases.push_back({.name = name, .num_known = num_known});
    }
  }
  cases.push_back({.name = "hit of all but the last token", .num_known = prompt_tokens - 1});
}

void add_disk_hits(const Watched& watched, uint32_t block_tokens, bool is_short, std::vector<Case>& cases) {
  const auto prompt_tokens = static_cast<uint32_t>(watched.prompt.size());
  for (uint32_t blocks = 1; blocks * block_tokens < prompt_tokens; ++blocks) {
    if (is_short && blocks > 1) break;
    cases.push_back(
        {.name = fmt::format("{} blocks from disk", blocks), .num_known = blocks * block_tokens, .from_disk = true});
  }
  cases.push_back({.name = "a tail of 7 tokens from disk", .num_known = 7, .from_disk = true});
  cases.push_back({.name = "all but the last token from disk", .num_known = prompt_tokens - 1, .from_disk = true});
}

std::vector<Case> all_cases(const Watched& watched, uint32_t block_tokens, bool is_short) {
  std::vector<Case> cases = {{.name = "alone"}, {.name = "cold, no cache", .prefix_cache = false}};
  for (const uint32_t chunk : {1u, 17u, 64u, 256u})
    cases.push_back({.name = fmt::format("chunks of {}", chunk), .chunk_tokens = chunk});
  for (const uint32_t num : {2u, 7u, 16u, 33u}) {
    if (is_short && num > 7) continue;
    cases.push_back(
        {.name = fmt::format("{} neighbours", num), .others = Others::kRandom, .num_others = num, .seed = num});
  }
  cases.push_back({.name = "7 neighbours, chunks of 17",
                   .chunk_tokens = 17,
                   .others = Others::kRandom,
                   .num_others = 7,
                   .seed = 100});
  cases.push_back({.name = "beside 4 that begin alike", .others = Others::kAlike, .num_others = 4});
  add_hits(watched, block_tokens, cases);
  add_disk_hits(watched, block_tokens, is_short, cases);
  for (uint64_t seed = 1; seed <= (is_short ? 2 : 6); ++seed) {
    cases.push_back({.name = fmt::format("sent back, {}", seed),
                     .block_tokens = kOlderBlockTokens,
                     .chunk_tokens = seed % 2 == 0 ? 17 : kMaxRows,
                     .others = Others::kOlder,
                     .num_others = kNumOlder,
                     .seed = seed});
  }
  for (const uint32_t drafts : {1u, 4u, 15u})
    cases.push_back({.name = fmt::format("up to {} drafts", drafts), .max_drafts = drafts});
  cases.push_back({.name = "7 neighbours, up to 4 drafts each",
                   .others = Others::kRandom,
                   .num_others = 7,
                   .seed = 200,
                   .max_drafts = 4});
  for (const uint32_t threads : {1u, 2u})
    cases.push_back({.name = fmt::format("{} threads", threads), .num_threads = threads});
  for (const uint32_t tokens : {16u, 64u, 256u})
    cases.push_back({.name = fmt::format("blocks of {}", tokens), .block_tokens = tokens});
  return cases;
}

}  // namespace

Result<bool> check_invariance(const MeasuredModelOptions& options, bool is_short) {
  ASSIGN_OR_RETURN(const CpuExecutorOptions executor_options, options.compute.executor_options());
  ThreadPool loading_pool(options.compute.threads());
  ASSIGN_OR_RETURN(const OpenedModel opened, load_measured_model(options, loading_pool));
  const Model model{opened, options.compute, executor_options};
  Watched watched{made_up_tokens(kPromptSeed, is_short ? 150 : 330, opened.config.vocab_size), kAnswerTokens};
  const std::vector<Case> cases = all_cases(watched, options.compute.block_tokens, is_short);
  fmt::print("{}; a prompt of {} tokens, an answer of {}\n\n", options.describe(opened), watched.prompt.size(),
             watched.num_answer_tokens);
  fmt::print("{:>7}  {:<36}{:>7}{:>7}{:>11}  {:<18}{:<9}{:>8}\n", "", "case", "reused", "rows", "sent back",
             "answer's hash", "", "seconds");
  std::optional<Outcome> alone;
  std::vector<TokenId> whole = watched.prompt;
  uint32_t num_wrong = 0;
  for (size_t index = 0; index < cases.size(); ++index) {
    const Case& way = cases[index];
    ASSIGN_OR_RETURN(const Outcome outcome, run_case(way, watched, whole, model));
    if (!alone) {  // the first: what all others are compared with
      alone = outcome;
      whole.insert(whole.end(), outcome.answer.tokens.begin(), outcome.answer.tokens.end());
    }
    const Finding finding = compare(way, watched, *alone, outcome);
    if (finding.verdict != Verdict::kSame) ++num_wrong;
    const auto num_rows = std::ranges::count_if(outcome.hashes, [](const auto& hash) { return hash.has_value(); });
    fmt::print("{:>7}  {:<36}{:>7}{:>7}{:>11}  {:016x}  {:<9}{:>8.2f}  {}\n",
               fmt::format("{}/{}", index + 1, cases.size()), way.name, outcome.answer.cached_tokens, num_rows,
               outcome.num_preemptions, answer_hash(watched, outcome), word(finding.verdict),
               outcome.seconds, finding.why);
    std::fflush(stdout);
  }
  fmt::print("\n{}\n", num_wrong == 0 ? "the same bits in every case"
                                      : fmt::format("{} of {} cases are wrong", num_wrong, cases.size()));
  return num_wrong == 0;
}

}  // namespace slipstream
