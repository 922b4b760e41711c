// slipstream serve MODEL: opens the port, loads the model, plans the memory, says so in one line, and serves until
// SIGTERM.
#include <fmt/format.h>
#include <sys/random.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/compute_options.h"
#include "app/disk_store.h"
#include "app/memory_plan.h"
#include "app/model_files.h"
#include "app/model_path.h"
#include "app/progress_bar.h"
#include "app/serve_settings.h"
#include "app/tuning.h"
#include "app/version.h"
#include "app/warm_prompts.h"
#include "base/memory.h"
#include "base/processors.h"
#include "engine/capacity.h"
#include "engine/engine.h"
#include "files/text_file.h"
#include "model/cpu_executor.h"
#include "server/api_keys.h"
#include "server/cache_key.h"
#include "server/server.h"

namespace slipstream {
namespace {

constexpr uint64_t kMaxTemplateBytes = 4ull << 20;

// Number: an integer, or bytes, up to 256 of them.
template <class Number>
Result<Number> random_number() {
  Number number{};
  if (::getrandom(&number, sizeof(number), 0) != sizeof(number))
    return outside("the system gives no random numbers (getrandom)");
  return number;
}

// Keys as one (--share-cache) are as none.
CacheKeys cache_keys(const ServeSettings& settings, const CacheSecret& secret) {
  return CacheKeys(secret, settings.share_cache ? std::vector<std::string>() : settings.api_keys);
}

uint32_t num_threads_of(const ServeSettings& settings) {
  return settings.threads != 0 ? settings.threads : num_usable_cores();
}

Result<std::unique_ptr<Server>> open_server(const ServeSettings& settings, const std::string& name,
                                            const CacheKeys& keys) {
  ServerOptions options;
  options.host = settings.host;
  options.port = settings.port;
  options.served_model_name = name;
  options.api_keys = settings.api_keys;
  options.cache_keys = keys;
  options.allowed_origins = settings.allowed_origins;
  options.shutdown_timeout_s = settings.shutdown_timeout_s;
  options.version = kVersion;
  ASSIGN_OR_RETURN(options.random_seed, random_number<uint64_t>());
  return Server::open(options, Clock::real());
}

// The model's files, with the settings' own template where they name one. A wrong path is said before the weights are
// read.
Result<ModelFiles> open_files(const ServeSettings& settings, const ModelPath& model) {
  std::string source;
  if (!settings.chat_template.empty()) {
    ASSIGN_OR_RETURN(source, read_text_file(settings.chat_template, kMaxTemplateBytes));
  }
  ASSIGN_OR_RETURN(ModelFiles files, open_model_files(model));
  if (!settings.chat_template.empty()) {
    auto made = ChatTemplate::make(source, files.text.template_tokens);
    if (!made.ok()) return std::move(made.error()).within(settings.chat_template);
    files.text.chat_template = std::move(made.value());
  }
  return files;
}

// Refuses what cannot fit before a weight is read.
Result<OpenedModel> load(const ServeSettings& settings, const ModelPath& found, ThreadPool& pool) {
  ASSIGN_OR_RETURN(ModelFiles files, open_files(settings, found));
  const Checkpoint& checkpoint = files.checkpoint;
  ASSIGN_OR_RETURN(const uint64_t weights_bytes, packed_weights_bytes(checkpoint));
  const CapacityInput memory =
      capacity_input(settings, checkpoint.config, pool.num_threads(), weights_bytes, available_memory_bytes());
  RETURN_IF_ERROR(plan_capacity(memory));
  LOG_DEBUG("loading {}", found.path);  // not info: a model that is wrong ends in one line
  const Clock clock = Clock::real();
  const double start_s = clock.now_s();
  ASSIGN_OR_RETURN(OpenedModel model, load_model(std::move(files), pool, terminal_progress("loading")));
  LOG_INFO("loaded in {:.1f} s", clock.now_s() - start_s);
  tune_for_weights(pool, settings.isa, {model.weights.memory.data(), model.weights.packed_bytes});
  return model;
}

Result<EngineOptions> engine_options(const ServeSettings& settings, const Capacity& capacity,
                                     const ModelConfig& config) {
  EngineOptions options;
  options.num_blocks = capacity.num_blocks;
  options.block_tokens = settings.block_tokens;
  options.max_model_len = capacity.max_model_len;
  options.max_num_seqs = settings.continuous_batching ? settings.max_num_seqs : 1;
  options.max_num_batched_tokens = settings.max_num_batched_tokens;
  options.max_step_ms = settings.max_step_ms;
  options.prefix_cache = settings.prefix_cache;
  if (!settings.memory_aware_cache) options.max_cache_entries = settings.prefix_cache_size;
  ASSIGN_OR_RETURN(options.cache_seed, random_number<uint64_t>());
  options.stream_interval = settings.stream_interval;
  if (settings.prompt_lookup) options.max_drafts = kMaxDrafts;
  options.eos_tokens = config.eos_tokens;
  options.num_clients = ApiKeys::num_clients(settings.api_keys);
  options.max_waiting_requests = settings.max_waiting_requests;
  options.max_waiting_tokens = settings.max_waiting_tokens;
  return options;
}

GenerationDefaults generation_defaults(const ServeSettings& settings, const SuggestedSampling& suggested) {
  GenerationDefaults defaults;
  if (!settings.suggested_sampling || suggested == SuggestedSampling{}) return defaults;
  SamplingParams& sampling = defaults.sampling;
  sampling.temperature = suggested.temperature.value_or(sampling.temperature);
  sampling.top_p = suggested.top_p.value_or(sampling.top_p);
  sampling.top_k = suggested.top_k.value_or(sampling.top_k);
  sampling.min_p = suggested.min_p.value_or(sampling.min_p);
  sampling.repetition_penalty = suggested.repetition_penalty.value_or(sampling.repetition_penalty);
  defaults.max_tokens = suggested.max_new_tokens;
  LOG_INFO("where a request says nothing, as generation_config.json suggests: temperature {}, top_p {}, top_k {}, "
           "min_p {}, repetition_penalty {}{}",
           sampling.temperature, sampling.top_p, sampling.top_k, sampling.min_p, sampling.repetition_penalty,
           defaults.max_tokens ? fmt::format(", max_tokens of chats {}", *defaults.max_tokens) : "");
  return defaults;
}

// For a shell: a ' inside its quotes is '\\''.
std::string curl_line(const std::string& address, const std::string& model, bool needs_key) {
  const nlohmann::ordered_json body = {
      {"model", model},
      {"messages", {{{"role", "user"}, {"content", "What is the capital of France?"}}}},
      {"temperature", 0},
  };
  std::string quoted;
  for (const char c : body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return fmt::format("curl -s {}/v1/chat/completions -H 'Content-Type: application/json'{} -d '{}'", address,
                     needs_key ? " -H 'Authorization: Bearer KEY'" : "", quoted);
}

// One line of facts, and a line to try.
void say_facts(const ServeSettings& settings, const std::string& name, const OpenedModel& model,
               const Capacity& capacity, const Server& server) {
  constexpr double kMega = 1e6;
  const std::string mode = settings.continuous_batching
                               ? fmt::format("up to {} requests together", settings.max_num_seqs)
                               : std::string("simple mode, one request at a time");
  fmt::print(
      "slipstream {}: {}, {} threads, {}, weights {:.0f} MB, KV {} blocks of {} tokens = {:.0f} MB, max_model_len {}, "
      "{}, {}\n",
      kVersion, name, num_threads_of(settings), isa_name(settings.isa),
      static_cast<double>(model.weights.packed_bytes) / kMega, capacity.num_blocks, settings.block_tokens,
      static_cast<double>(capacity.pool_bytes) / kMega, capacity.max_model_len, mode, server.address());
  if (model.text.chat_template)
    fmt::print("try: {}\n", curl_line(server.address(), name, !settings.api_keys.empty()));
  std::fflush(stdout);
}

Status serve(const ServeSettings& settings) {
  give_back_large_blocks();
  set_log_level(settings.log_level);
  for (const std::string& warning : settings.warnings) LOG_WARNING("{}", warning);
  ASSIGN_OR_RETURN(const ModelPath found, find_model_or_dummy(settings.model, settings.dummy));
  const std::string name = settings.served_model_name.empty() ? found.name : settings.served_model_name;
  ASSIGN_OR_RETURN(const CacheSecret fresh_secret, random_number<CacheSecret>());
  ASSIGN_OR_RETURN(std::optional<OpenedCacheFolder> cache_folder, open_cache_folder(settings, fresh_secret));
  const CacheKeys keys = cache_keys(settings, cache_folder ? cache_folder->secret : fresh_secret);
  ASSIGN_OR_RETURN(const std::unique_ptr<Server> server, open_server(settings, name, keys));
  std::vector<ChatPrompt> warm_prompts;
  if (!settings.warm_prompts.empty()) {
    ASSIGN_OR_RETURN(warm_prompts, read_warm_prompts(settings.warm_prompts));
  }
  ThreadPool pool(num_threads_of(settings), Placement::kOwnCores);
  ASSIGN_OR_RETURN(const OpenedModel model, load(settings, found, pool));
  // Once more, of what is there now that the weights are in.
  ASSIGN_OR_RETURN(const Capacity capacity, plan_capacity(capacity_input(settings, model.config, pool.num_threads(), 0,
                                                                         available_memory_bytes())));
  const bool counts_prompts = settings.prefix_cache && !settings.memory_aware_cache;
  LOG_INFO("{}{}", capacity.reason,
           counts_prompts ? fmt::format("; at most {} prompts remembered", settings.prefix_cache_size) : "");

  CpuExecutorOptions options = executor_options(settings);
  options.num_blocks = capacity.num_blocks;
  options.max_context = capacity.max_model_len;
  ASSIGN_OR_RETURN(const std::unique_ptr<CpuExecutor> executor,
                   CpuExecutor::make(model.config, model.weights, pool, options));
  ASSIGN_OR_RETURN(const std::unique_ptr<DiskCache> disk,
                   open_disk_cache(settings, std::move(cache_folder), model, *executor, pool));
  ASSIGN_OR_RETURN(const EngineOptions engine_settings, engine_options(settings, capacity, model.config));
  Engine engine(engine_settings, *executor, pool, &model.text.tokenizer.table(), Clock::real(), disk.get());
  const ModelText& text = model.text;
  const ServedModel served{&text.tokenizer, text.chat_template ? &*text.chat_template : nullptr,
                           model.config.vocab_size, capacity.max_model_len,
                           generation_defaults(settings, model.config.suggested),
                           kv_block_bytes(model.config, options.block_tokens, options.activations)};
  if (!warm_prompts.empty()) {
    RETURN_IF_ERROR(warm(warm_prompts, settings.warm_prompts, served, keys, engine,
                         terminal_progress("warming", ProgressUnit::kTokens)));
  }
  server->begin(engine, served);
  say_facts(settings, name, model, capacity, *server);
  server->serve();
  return ok_status();
}

// Lines of at most 80 characters, broken between words.
std::string wrapped(std::string_view text) {
  std::string lines;
  size_t line_begin = 0;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    const bool fits = lines.size() - line_begin + 1 + word.size() <= 80;
    if (!lines.empty()) lines += fits ? ' ' : '\n';
    if (!fits) line_begin = lines.size();
    lines += word;
  }
  return lines;
}

std::vector<GivenOption> given_options(const CLI::App& command) {
  std::vector<GivenOption> given;
  for (const ServeOption& row : serve_options()) {
    const CLI::Option* option = command.get_option(std::string(row.name));
    if (option->count() > 0) given.push_back({std::string(row.name), option->results()});
  }
  return given;
}

// Everything that is wrong with the command line.
std::vector<std::string> find_mistakes(const CLI::App& command, ServeSettings& settings) {
  std::vector<std::string> mistakes;
  for (const std::string& extra : command.remaining()) {
    mistakes.push_back(extra.size() > 1 && extra[0] == '-' ? fmt::format("{}: no such option", extra)
                                                           : fmt::format("{}: one MODEL is enough", extra));
  }
  const std::vector<std::string> wrong = read_serve_options(given_options(command), settings);
  mistakes.insert(mistakes.end(), wrong.begin(), wrong.end());
  if (!settings.model.empty() && !settings.dummy.empty()) mistakes.push_back("MODEL, --dummy: give one of the two");
  return mistakes;
}

int run_serve(const CLI::App& command, ServeSettings& settings) {
  const std::vector<std::string> mistakes = find_mistakes(command, settings);
  for (const std::string& mistake : mistakes) fmt::print(stderr, "slipstream: {}\n", mistake);
  const bool no_model = settings.model.empty() && settings.dummy.empty();
  if (no_model) fmt::print(stderr, "{}", command.help("slipstream"));
  if (!mistakes.empty() || no_model) return 2;
  const Status status = serve(settings);
  return status.ok() ? 0 : fail(status.error());
}

}  // namespace

void add_serve_command(CLI::App& program, int& exit_status) {
  const auto settings = std::make_shared<ServeSettings>();
  CLI::App* command = program.add_subcommand("serve", "serve a model to many users over OpenAI's HTTP API");
  command->add_option("MODEL", settings->model, kModelHelp);
  // Values are read and checked in serve_settings.cc, all of them, so that every mistake is named at once.
  for (const ServeOption& row : serve_options()) {
    const std::string name(row.name);
    CLI::Option* option = row.value_name.empty() ? command->add_flag(name)
                                                 : command->add_option(name)->type_name(std::string(row.value_name));
    option->description(wrapped(row.help))->group(std::string(row.group));
    option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    if (!row.value_name.empty()) option->expected(0, 1);
  }
  command->allow_extras();
  command->callback([command, settings, &exit_status] { exit_status = run_serve(*command, *settings); });
}

}  // namespace slipstream
