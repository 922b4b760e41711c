#include "app/warm_prompts.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "files/text_file.h"
#include "server/prompt_tokens.h"

namespace slipstream {
namespace {

constexpr uint64_t kMostBytes = 64 << 20;

// What is done of all, for the progress.
struct Done {
  uint64_t tokens = 0;
  uint64_t all_tokens = 0;
};

// Its K and V, and no token of an answer.
Status compute(std::vector<TokenId> prompt, const ExtraKey& key, Engine& engine, Done& done,
               const LoadProgress& progress) {
  const uint64_t num_tokens = prompt.size();
  const uint64_t num_rows_before = engine.stats().num_rows;
  Request request;
  request.prompt = std::move(prompt);
  request.cache_key = key;
  ASSIGN_OR_RETURN(TextStream stream, engine.submit(std::move(request), nullptr));
  while (true) {
    if (!engine.step()) return outside("it waits, and cannot run");
    const uint64_t num_rows = std::min(engine.stats().num_rows - num_rows_before, num_tokens);
    if (progress) progress(done.tokens + num_rows, done.all_tokens);
    const std::optional<TextEvent> event = stream.try_next();
    if (event && event->error) return *event->error;
    if (event && event->finish) break;
  }
  done.tokens += num_tokens;
  return ok_status();
}

std::string place_of(const std::string& path, size_t index) { return fmt::format("'{}': entry {}", path, index + 1); }

}  // namespace

Result<std::vector<ChatPrompt>> read_warm_prompts(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, read_text_file(path, kMostBytes));
  Result<std::vector<ChatPrompt>> prompts = parse_chat_beginnings(text);
  if (!prompts.ok()) return std::move(prompts).error().within(fmt::format("'{}'", path));
  return prompts;
}

Status warm(const std::vector<ChatPrompt>& prompts, const std::string& path, const ServedModel& model,
            const CacheKeys& keys, Engine& engine, const LoadProgress& progress) {
  const Clock clock = Clock::real();
  const double start_s = clock.now_s();
  std::vector<std::vector<TokenId>> encoded;
  Done done;
  for (size_t index = 0; index < prompts.size(); ++index) {
    Result<std::vector<TokenId>> tokens = encode_chat(prompts[index], model, false);
    if (!tokens.ok()) return std::move(tokens).error().within(place_of(path, index));
    done.all_tokens += tokens->size() * keys.unsalted().size();
    encoded.push_back(std::move(tokens).value());
  }
  for (const ExtraKey& key : keys.unsalted()) {
    for (size_t index = 0; index < encoded.size(); ++index) {
      Status status = compute(encoded[index], key, engine, done, progress);
      if (!status.ok()) return std::move(status).error().within(place_of(path, index));
    }
  }
  if (progress) progress(done.all_tokens, done.all_tokens);
  const CacheCounts cache = engine.stats().cache;
  const size_t num_keys = keys.unsalted().size();
  LOG_INFO("{} warm prompts{}: {} tokens in {:.1f} s", prompts.size(),
           num_keys > 1 ? fmt::format(" for each of {} API keys", num_keys) : "", done.all_tokens,
           clock.now_s() - start_s);
  if (cache.evictions > 0) {
    LOG_WARNING("the cache is too small for all warm prompts: {} blocks of them are forgotten again{}", cache.evictions,
                num_keys > 1 ? "; each API key has its own, --share-cache has them once" : "");
  }
  return ok_status();
}

}  // namespace slipstream
