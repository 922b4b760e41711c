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
#include "app/model_files.h"
#include "app/serve_settings.h"
#include "app/version.h"
#include "base/processors.h"
#include "engine/capacity.h"
#include "engine/engine.h"
#include "files/text_file.h"
#include "model/cpu_executor.h"
#include "server/server.h"

namespace slipstream {
namespace {

constexpr uint64_t kMaxTemplateBytes = 4ull << 20;
constexpr double kDefaultCacheFraction = 0.20;

Result<uint64_t> random_number() {
  uint64_t number = 0;
  if (::getrandom(&number, sizeof(number), 0) != sizeof(number))
    return outside("the system gives no random numbers (getrandom)");
  return number;
}

std::string served_name(const ServeSettings& settings) {
  return settings.served_model_name.empty() ? model_display_name(settings.model) : settings.served_model_name;
}

Result<std::unique_ptr<Server>> open_server(const ServeSettings& settings) {
  ServerOptions options;
  options.host = settings.host;
  options.port = settings.port;
  options.served_model_name = served_name(settings);
  options.api_keys = settings.api_keys;
  options.version = kVersion;
  ASSIGN_OR_RETURN(options.random_seed, random_number());
  return Server::open(options, Clock::real());
}

// The model with the settings' own template, where they name one.
Result<OpenedModel> load_model(const ServeSettings& settings, ThreadPool& pool) {
  std::string source;
  if (!settings.chat_template.empty()) {  // read before the weights: a wrong path is said at once
    ASSIGN_OR_RETURN(source, read_text_file(settings.chat_template, kMaxTemplateBytes));
  }
  ASSIGN_OR_RETURN(OpenedModel model, open_model(settings.model, pool, terminal_progress("loading")));
  if (!settings.chat_template.empty()) {
    auto made = ChatTemplate::make(source, model.text.template_tokens);
    if (!made.ok()) return std::move(made.error()).within(settings.chat_template);
    model.text.chat_template = std::move(made.value());
  }
  return model;
}

CpuExecutorOptions executor_options(const ServeSettings& settings) {
  CpuExecutorOptions options;
  options.isa = settings.isa;
  options.block_tokens = settings.block_tokens;
  options.max_rows = settings.max_num_batched_tokens;
  options.max_slices = settings.continuous_batching ? settings.max_num_seqs : 1;
  return options;
}

// What the weights and the executor's workspace leave is the KV pool's.
Result<Capacity> plan_memory(const ServeSettings& settings, const ModelConfig& config, uint32_t num_threads) {
  CpuExecutorOptions options = executor_options(settings);
  options.max_context = settings.max_model_len.value_or(config.max_position_embeddings);
  const uint64_t available = available_memory_bytes();
  const uint64_t workspace = executor_workspace_bytes(config, options, num_threads);
  CapacityInput input;
  input.available_bytes = available > workspace ? available - workspace : 0;
  input.block_bytes = kv_block_bytes(config, settings.block_tokens, options.activations);
  input.block_tokens = settings.block_tokens;
  input.model_max_len = config.max_position_embeddings;
  input.cache_memory_mb = settings.cache_memory_mb;
  input.cache_memory_percent = settings.cache_memory_percent.value_or(kDefaultCacheFraction);
  input.max_model_len = settings.max_model_len;
  return plan_capacity(input);
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
  ASSIGN_OR_RETURN(options.cache_seed, random_number());
  options.stream_interval = settings.stream_interval;
  options.eos_tokens = config.eos_tokens;
  return options;
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
void say_facts(const ServeSettings& settings, const OpenedModel& model, const Capacity& capacity, uint32_t num_threads,
               const Server& server) {
  constexpr double kMega = 1e6;
  const std::string mode = settings.continuous_batching
                               ? fmt::format("up to {} requests together", settings.max_num_seqs)
                               : std::string("simple mode, one request at a time");
  fmt::print(
      "slipstream {}: {}, {} threads, {}, weights {:.0f} MB, KV {} blocks of {} tokens = {:.0f} MB, max_model_len {}, "
      "{}, {}\n",
      kVersion, served_name(settings), num_threads, isa_name(settings.isa),
      static_cast<double>(model.weights.packed_bytes) / kMega, capacity.num_blocks, settings.block_tokens,
      static_cast<double>(capacity.pool_bytes) / kMega, capacity.max_model_len, mode, server.address());
  if (model.text.chat_template)
    fmt::print("try: {}\n", curl_line(server.address(), served_name(settings), !settings.api_keys.empty()));
  std::fflush(stdout);
}

Status serve(const ServeSettings& settings) {
  set_log_level(settings.log_level);
  const uint32_t num_threads = settings.threads != 0 ? settings.threads : usable_processors();
  ASSIGN_OR_RETURN(const std::unique_ptr<Server> server, open_server(settings));
  ThreadPool pool(num_threads);
  ASSIGN_OR_RETURN(const OpenedModel model, load_model(settings, pool));
  ASSIGN_OR_RETURN(const Capacity capacity, plan_memory(settings, model.config, num_threads));
  LOG_INFO("{}", capacity.reason);

  CpuExecutorOptions options = executor_options(settings);
  options.num_blocks = capacity.num_blocks;
  options.max_context = capacity.max_model_len;
  ASSIGN_OR_RETURN(const std::unique_ptr<CpuExecutor> executor,
                   CpuExecutor::make(model.config, model.weights, pool, options));
  ASSIGN_OR_RETURN(const EngineOptions engine_settings, engine_options(settings, capacity, model.config));
  Engine engine(engine_settings, *executor, pool, &model.text.tokenizer.table(), Clock::real());
  const ModelText& text = model.text;
  server->begin(engine, ServedModel{&text.tokenizer, text.chat_template ? &*text.chat_template : nullptr,
                                    model.config.vocab_size, capacity.max_model_len});
  say_facts(settings, model, capacity, num_threads, *server);
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
  return mistakes;
}

int run_serve(const CLI::App& command, ServeSettings& settings) {
  const std::vector<std::string> mistakes = find_mistakes(command, settings);
  for (const std::string& mistake : mistakes) fmt::print(stderr, "slipstream: {}\n", mistake);
  if (settings.model.empty()) fmt::print(stderr, "{}", command.help("slipstream"));
  if (!mistakes.empty() || settings.model.empty()) return 2;
  const Status status = serve(settings);
  return status.ok() ? 0 : fail(status.error());
}

}  // namespace

void add_serve_command(CLI::App& program, int& exit_status) {
  const auto settings = std::make_shared<ServeSettings>();
  CLI::App* command = program.add_subcommand("serve", "serve a model to many users over OpenAI's HTTP API");
  command->add_option("MODEL", settings->model,
                      "A folder with config.json, safetensors and tokenizer.json, or one .gguf file");
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
