#include "app/inspect_report.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace slipstream {
namespace {

constexpr double kMega = 1e6;
constexpr double kMiB = 1 << 20;

double mega(uint64_t bytes) { return static_cast<double>(bytes) / kMega; }
double mebi(uint64_t bytes) { return static_cast<double>(bytes) / kMiB; }

// What rendering a plain conversation says; "" when it renders.
std::string try_template(const ChatTemplate& chat_template) {
  ChatTemplateInput input;
  input.messages_json =
      R"([{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}, )"
      R"({"role": "user", "content": "How are you?"}])";
  const auto rendered = chat_template.render(input);
  return rendered.ok() ? "" : rendered.error().message;
}

uint64_t bytes_per_token(const CapacityInput& memory) { return memory.block_bytes / memory.block_tokens; }

// ---------------------------------------------------------------- for people

std::string count_text(uint64_t count) {
  const double number = static_cast<double>(count);
  return count >= 1'000'000'000 ? fmt::format("{:.2f} B", number / 1e9)
         : count >= 1'000'000   ? fmt::format("{:.1f} M", number / 1e6)
         : count >= 10'000      ? fmt::format("{:.1f} K", number / 1e3)
                                : fmt::format("{}", count);
}

std::string stored_text(const WeightGroup& group) {
  if (group.stored != "U32") return group.stored;
  return fmt::format("MLX {} bits, groups of {}, {}", group.stored_bits, group.group, group.scales);
}

std::string model_text(const InspectReport& report) {
  const ModelConfig& config = report.config;
  std::string text = fmt::format("model       {}\n", report.name);
  text += fmt::format("path        {}\n", report.path);
  text += fmt::format("family      {}: {} layers, hidden size {}, {} heads ({} for K and V) of {}\n", config.family,
                      config.num_layers, config.hidden_size, config.num_heads, config.num_kv_heads, config.head_dim);
  if (config.num_experts != 0) {
    text += fmt::format("experts     {} in a sparse layer, {} of them for each token\n", config.num_experts,
                        config.experts_per_token);
  }
  text += fmt::format("parameters  {}", count_text(report.weights.num_parameters));
  if (config.num_experts != 0)
    text += fmt::format(", {} of them for each token", count_text(report.weights.num_active_parameters));
  const RopeScaling& scaling = config.rope_scaling;
  text += fmt::format("\ncontext     {} tokens; rope theta {}, {}\n", config.max_position_embeddings, config.rope_theta,
                      scaling.factor == 1.0 ? std::string("not scaled")
                                            : fmt::format("scaled (llama3) by {} from {}", scaling.factor,
                                                          scaling.original_max_position_embeddings));
  text += fmt::format("vocabulary  {}, tokenizer {} tokens\n", config.vocab_size, report.tokenizer_tokens);
  if (!report.has_chat_template) {
    text += "template    none: completions, but no chat unless serve has --chat-template FILE\n";
  } else {
    text += fmt::format("template    {} bytes; a plain conversation {}\n", report.chat_template_bytes,
                        report.chat_template_error.empty() ? "renders"
                                                           : "does not render: " + report.chat_template_error);
  }
  return text;
}

std::string weights_text(const InspectReport& report) {
  std::string text = fmt::format("{:<11} {:<32} {:>7} {:>11} {:>10} {:>10} {:>11}\n", "weights", "stored", "tensors",
                                 "parameters", "file MB", "memory MB", "memory bits");
  for (const WeightGroup& group : report.weights.groups) {
    text += fmt::format("{:<11} {:<32} {:>7} {:>11} {:>10.1f} {:>10.1f} {:>11}\n", weight_kind_name(group.kind),
                        stored_text(group), group.num_tensors, count_text(group.num_parameters), mega(group.file_bytes),
                        mega(group.packed_bytes), group.packed_bits);
  }
  if (report.config.tied_embeddings) text += fmt::format("{:<11} is the embedding\n", "lm_head");
  text += fmt::format("{:<11} {:<32} {:>7} {:>11} {:>10.1f} {:>10.1f}\n", "all", "", "",
                      count_text(report.weights.num_parameters), mega(report.weights.file_bytes),
                      mega(report.weights.packed_bytes));
  return text;
}

std::string cell_text(const ContextFit& context) {
  if (context.fit == Fit::kNot) return "-";
  return fmt::format("{:.0f}{}", std::ceil(mebi(context.pool_bytes)), context.fit == Fit::kAtMost ? "*" : " ");
}

std::string memory_text(const InspectReport& report) {
  const CapacityInput& memory = report.memory;
  const MemoryFit fit = fit_users(memory);
  std::string text = fmt::format("KV cache    {} bytes for each token, {:.2f} MiB for a block of {} tokens\n",
                                 bytes_per_token(memory), mebi(memory.block_bytes), memory.block_tokens);
  text += fmt::format("memory      {:.0f} MiB available - weights {:.0f} MiB - workspace {:.0f} MiB = ",
                      mebi(memory.available_bytes), mebi(memory.weights_bytes), mebi(memory.workspace_bytes));
  if (fit.rest_bytes == 0) return text + "nothing: the model does not fit\n";
  text += fmt::format("{:.0f} MiB\n", mebi(fit.rest_bytes));
  text += fmt::format("KV pool     {:.0f} MiB: serve takes {:g} of what is left (--cache-memory-percent)\n\n",
                      mebi(fit.default_pool_bytes), memory.cache_memory_percent);
  text += "MiB of KV cache for users x tokens of each   (* needs --cache-memory-mb, - does not fit)\n";
  text += fmt::format("{:>5}", "users");
  for (const uint32_t context : fit.contexts) text += fmt::format(" {:>9} ", context);
  text += fmt::format("   {:>18} {:>18}\n", "longest by default", "with all memory");
  for (const UsersFit& users : fit.users) {
    text += fmt::format("{:>5}", users.num_users);
    for (const ContextFit& context : users.contexts)
      text += context.fit == Fit::kNot ? fmt::format(" {:>9} ", "-") : fmt::format(" {:>10}", cell_text(context));
    text += fmt::format("   {:>18} {:>18}\n", users.longest_by_default, users.longest_at_most);
  }
  return text;
}

// ---------------------------------------------------------------- for programs

using Json = nlohmann::ordered_json;

Json weights_json(const ModelSummary& weights) {
  Json groups = Json::array();
  for (const WeightGroup& group : weights.groups) {
    groups.push_back({{"kind", weight_kind_name(group.kind)},
                      {"stored", group.stored},
                      {"bits", group.stored_bits},
                      {"group", group.group == 0 ? Json() : Json(group.group)},
                      {"scales", group.scales.empty() ? Json() : Json(group.scales)},
                      {"packed_bits", group.packed_bits},
                      {"tensors", group.num_tensors},
                      {"parameters", group.num_parameters},
                      {"file_bytes", group.file_bytes},
                      {"packed_bytes", group.packed_bytes}});
  }
  return {{"file_bytes", weights.file_bytes}, {"packed_bytes", weights.packed_bytes}, {"groups", groups}};
}

Json context_json(const ModelConfig& config) {
  Json scaling;
  if (config.rope_scaling.factor != 1.0) {
    scaling = {{"type", "llama3"},
               {"factor", config.rope_scaling.factor},
               {"low_freq_factor", config.rope_scaling.low_freq_factor},
               {"high_freq_factor", config.rope_scaling.high_freq_factor},
               {"original_max_position_embeddings", config.rope_scaling.original_max_position_embeddings}};
  }
  return {{"max_position_embeddings", config.max_position_embeddings},
          {"rope_theta", config.rope_theta},
          {"rope_scaling", scaling}};
}

Json memory_json(const CapacityInput& memory) {
  const MemoryFit fit = fit_users(memory);
  Json users_list = Json::array();
  for (const UsersFit& users : fit.users) {
    Json contexts = Json::array();
    for (const ContextFit& context : users.contexts) {
      contexts.push_back({{"tokens", context.num_tokens},
                          {"kv_bytes", context.pool_bytes},
                          {"fits_by_default", context.fit == Fit::kByDefault},
                          {"fits_at_most", context.fit != Fit::kNot}});
    }
    users_list.push_back({{"users", users.num_users},
                          {"longest_by_default", users.longest_by_default},
                          {"longest_at_most", users.longest_at_most},
                          {"contexts", contexts}});
  }
  return {{"available_bytes", memory.available_bytes},
          {"weights_bytes", memory.weights_bytes},
          {"workspace_bytes", memory.workspace_bytes},
          {"rest_bytes", fit.rest_bytes},
          {"default_kv_bytes", fit.default_pool_bytes},
          {"users", users_list}};
}

}  // namespace

Result<InspectReport> inspect_model(const ModelPath& model, uint64_t available_bytes, uint32_t num_threads) {
  ASSIGN_OR_RETURN(const ModelFiles files, open_model_files(model));
  const Checkpoint& checkpoint = files.checkpoint;
  InspectReport report;
  report.name = model.name;
  report.path = model.path;
  report.config = checkpoint.config;
  Weights weights;
  auto plan = plan_weights(checkpoint.config, checkpoint.tensors, checkpoint.names, weights);
  if (!plan.ok()) return std::move(plan.error()).within(model.path);
  report.weights = summarise(checkpoint.config, *plan);
  report.tokenizer_tokens = files.text.tokenizer.vocab_size();
  report.has_chat_template = files.text.chat_template.has_value();
  report.chat_template_bytes = files.text.chat_template_bytes;
  if (report.has_chat_template) report.chat_template_error = try_template(*files.text.chat_template);
  ServeSettings settings;
  settings.continuous_batching = true;
  report.memory =
      capacity_input(settings, checkpoint.config, num_threads, report.weights.packed_bytes, available_bytes);
  return report;
}

std::string inspect_text(const InspectReport& report) {
  return model_text(report) + "\n" + weights_text(report) + "\n" + memory_text(report);
}

std::string inspect_json(const InspectReport& report) {
  const ModelConfig& config = report.config;
  const Json json = {
      {"model", report.name},
      {"path", report.path},
      {"family", config.family},
      {"shape",
       {{"layers", config.num_layers},
        {"hidden_size", config.hidden_size},
        {"heads", config.num_heads},
        {"kv_heads", config.num_kv_heads},
        {"head_dim", config.head_dim},
        {"experts", config.num_experts},
        {"experts_per_token", config.experts_per_token},
        {"tied_embeddings", config.tied_embeddings}}},
      {"parameters", {{"total", report.weights.num_parameters}, {"active", report.weights.num_active_parameters}}},
      {"weights", weights_json(report.weights)},
      {"context", context_json(config)},
      {"vocabulary", {{"size", config.vocab_size}, {"tokenizer_tokens", report.tokenizer_tokens}}},
      {"chat_template",
       {{"present", report.has_chat_template},
        {"bytes", report.chat_template_bytes},
        {"renders", report.has_chat_template && report.chat_template_error.empty()},
        {"error", report.chat_template_error.empty() ? Json() : Json(report.chat_template_error)}}},
      {"kv",
       {{"bytes_per_token", bytes_per_token(report.memory)},
        {"block_tokens", report.memory.block_tokens},
        {"bytes_per_block", report.memory.block_bytes}}},
      {"memory", memory_json(report.memory)},
  };
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace slipstream
