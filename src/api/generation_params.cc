#include "api/generation_params.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "api/api_limits.h"
#include "api/generation_fields.h"
#include "api/ignored_fields.h"
#include "api/json_text.h"

namespace slipstream {
namespace {

// A string, or an array of strings.
Result<std::vector<std::string>> read_stop(JsonFields& fields) {
  std::vector<std::string> stops;
  const Json* const value = fields.find("stop");
  if (value == nullptr) return stops;
  const auto add = [&](const Json& stop) -> Status {
    if (!stop.is_string()) {
      return invalid_param("stop", "'stop' has {}; a string or an array of strings is expected.", json_kind(stop));
    }
    const std::string& text = stop.get_ref<const std::string&>();
    if (text.empty()) return invalid_param("stop", "'stop' has an empty string; it would stop every answer at once.");
    if (text.size() > kMaxStopBytes) {
      return invalid_param("stop", "'stop' has a string of {} bytes; at most {} are taken.", text.size(),
                           kMaxStopBytes);
    }
    stops.push_back(text);
    return ok_status();
  };
  if (!value->is_array()) {
    RETURN_IF_ERROR(add(*value));
    return stops;
  }
  if (value->size() > kMaxStops) {
    return invalid_param("stop", "'stop' has {} strings; at most {} are taken.", value->size(), kMaxStops);
  }
  for (const Json& stop : *value) RETURN_IF_ERROR(add(stop));
  return stops;
}

Result<std::vector<TokenId>> read_stop_token_ids(JsonFields& fields) {
  const Json* const value = fields.find("stop_token_ids");
  if (value == nullptr) return std::vector<TokenId>();
  if (value->is_array() && value->size() > kMaxStopTokens) {
    return invalid_param("stop_token_ids", "'stop_token_ids' has {} token ids; at most {} are taken.", value->size(),
                         kMaxStopTokens);
  }
  return read_token_ids(*value, "stop_token_ids");
}

Status read_penalties(JsonFields& fields, SamplingParams& sampling) {
  ASSIGN_OR_RETURN(sampling.presence_penalty, fields.number("presence_penalty", -2.0, 2.0, sampling.presence_penalty));
  ASSIGN_OR_RETURN(sampling.frequency_penalty,
                   fields.number("frequency_penalty", -2.0, 2.0, sampling.frequency_penalty));
  ASSIGN_OR_RETURN(sampling.repetition_penalty,
                   fields.number("repetition_penalty", 0.0, kMaxRepetitionPenalty, sampling.repetition_penalty));
  if (sampling.repetition_penalty < kLeastRepetitionPenalty) {
    return invalid_param("repetition_penalty", "'repetition_penalty' is {}; it must be between {} and {}.",
                         sampling.repetition_penalty, kLeastRepetitionPenalty, kMaxRepetitionPenalty);
  }
  return ok_status();
}

// {"50256": -100, "11": 2.5}: token id -> what is added to its logit.
Result<std::vector<LogitBias>> read_logit_bias(JsonFields& fields) {
  std::vector<LogitBias> biases;
  const Json* const value = fields.find("logit_bias");
  if (value == nullptr) return biases;
  if (!value->is_object()) return fields.wrong_kind("logit_bias", *value, "an object");
  if (value->size() > kMaxLogitBiases) {
    return invalid_param("logit_bias", "'logit_bias' has {} tokens; at most {} are taken.", value->size(),
                         kMaxLogitBiases);
  }
  for (const auto& [name, bias] : value->get_ref<const Json::object_t&>()) {
    TokenId token = 0;
    const char* const end = name.data() + name.size();
    const auto [rest, failure] = std::from_chars(name.data(), end, token);
    if (failure != std::errc() || rest != end || name != std::to_string(token)) {
      return invalid_param("logit_bias", "'logit_bias' has the name '{}'; a token id is expected.", shortened(name));
    }
    const double number = bias.is_number() ? bias.get<double>() : std::numeric_limits<double>::quiet_NaN();
    if (!(number >= -kMaxLogitBias && number <= kMaxLogitBias)) {
      return invalid_param("logit_bias", "'logit_bias' of token {} is not a number between {} and {}.", token,
                           -kMaxLogitBias, kMaxLogitBias);
    }
    biases.push_back({token, static_cast<float>(number)});
  }
  return biases;
}

Status read_sampling(JsonFields& fields, GenerationParams& params) {
  SamplingParams& sampling = params.sampling;
  ASSIGN_OR_RETURN(sampling.temperature, fields.number("temperature", 0.0, 2.0, sampling.temperature));
  ASSIGN_OR_RETURN(sampling.top_p, fields.number("top_p", 0.0, 1.0, sampling.top_p));
  if (sampling.top_p == 0.0) return invalid_param("top_p", "'top_p' is 0; it must be above 0 and at most 1.");
  ASSIGN_OR_RETURN(sampling.min_p, fields.number("min_p", 0.0, 1.0, sampling.min_p));
  ASSIGN_OR_RETURN(const std::optional<int64_t> top_k, fields.integer("top_k", -1, kMaxTopK));
  if (top_k) sampling.top_k = static_cast<uint32_t>(std::max<int64_t>(*top_k, 0));  // 0 and -1: off, as elsewhere
  RETURN_IF_ERROR(read_penalties(fields, sampling));
  ASSIGN_OR_RETURN(sampling.logit_bias, read_logit_bias(fields));
  ASSIGN_OR_RETURN(const std::optional<int64_t> seed, fields.integer("seed", INT64_MIN, INT64_MAX));
  params.has_seed = seed.has_value();
  sampling.seed = static_cast<uint64_t>(seed.value_or(0));
  return ok_status();
}

// How many answers. best_of would let several be made and the best be chosen: only as many as are given is the same.
Status read_num_choices(JsonFields& fields, GenerationParams& params) {
  ASSIGN_OR_RETURN(const std::optional<int64_t> n, fields.integer("n", 1, kMaxChoices));
  params.num_choices = static_cast<uint32_t>(n.value_or(1));
  ASSIGN_OR_RETURN(const std::optional<int64_t> best_of, fields.integer("best_of", 1, kMaxChoices));
  if (!best_of || *best_of == params.num_choices) return ok_status();
  return invalid_param("best_of", "'best_of' is {} and 'n' is {}; choosing among more answers is not supported yet.",
                       *best_of, params.num_choices);
}

Status read_stream(JsonFields& fields, GenerationParams& params) {
  ASSIGN_OR_RETURN(params.stream, fields.boolean("stream", false));
  const Json* const options = fields.find("stream_options");
  if (options == nullptr) return ok_status();
  if (!options->is_object()) return fields.wrong_kind("stream_options", *options, "an object");
  if (!params.stream) return invalid_param("stream_options", "'stream_options' is only for 'stream': true.");
  JsonFields inner(*options, "stream_options");
  ASSIGN_OR_RETURN(params.include_usage, inner.boolean("include_usage", false));
  ASSIGN_OR_RETURN(params.continuous_usage, inner.boolean("continuous_usage_stats", false));
  RETURN_IF_ERROR(read_ignored_fields(inner, kIgnoredStreamOptions));
  return inner.refuse_other_names({});
}

// A name that keeps what is cached of some requests from all others.
Result<std::optional<std::string>> read_cache_salt(JsonFields& fields) {
  ASSIGN_OR_RETURN(std::optional<std::string> salt, fields.string("cache_salt"));
  if (salt && (salt->empty() || salt->size() > kMaxCacheSaltBytes)) {
    return invalid_param("cache_salt", "'cache_salt' has {} bytes; 1 to {} are taken.", salt->size(),
                         kMaxCacheSaltBytes);
  }
  return salt;
}

}  // namespace

Result<GenerationParams> read_generation_params(JsonFields& fields, const GenerationDefaults& defaults) {
  GenerationParams params;
  params.sampling = defaults.sampling;
  RETURN_IF_ERROR(read_sampling(fields, params));
  ASSIGN_OR_RETURN(params.stop, read_stop(fields));
  ASSIGN_OR_RETURN(params.stop_token_ids, read_stop_token_ids(fields));
  ASSIGN_OR_RETURN(params.ignore_eos, fields.boolean("ignore_eos", false));
  ASSIGN_OR_RETURN(params.include_stop_str_in_output, fields.boolean("include_stop_str_in_output", false));
  ASSIGN_OR_RETURN(params.return_token_ids, fields.boolean("return_token_ids", false));
  ASSIGN_OR_RETURN(params.cache_salt, read_cache_salt(fields));
  RETURN_IF_ERROR(read_num_choices(fields, params));
  RETURN_IF_ERROR(read_stream(fields, params));
  RETURN_IF_ERROR(read_ignored_fields(fields, kIgnoredFields));
  return params;
}

Status read_min_tokens(JsonFields& fields, GenerationParams& params) {
  ASSIGN_OR_RETURN(const std::optional<int64_t> least, fields.integer("min_tokens", 0, kMaxTokensLimit));
  params.min_tokens = static_cast<uint32_t>(least.value_or(0));
  if (!params.max_tokens || params.min_tokens <= *params.max_tokens) return ok_status();
  return invalid_param("min_tokens", "'min_tokens' is {}, above 'max_tokens', which is {}.", params.min_tokens,
                       *params.max_tokens);
}

Result<std::vector<TokenId>> read_token_ids(const Json& value, std::string_view param) {
  if (!value.is_array()) {
    return invalid_param(param, "'{}' is {}; an array of token ids is expected.", param, json_kind(value));
  }
  std::vector<TokenId> tokens;
  tokens.reserve(value.size());
  for (const Json& token : value) {
    if (!token.is_number_integer()) {
      return invalid_param(param, "'{}' has {}; token ids are expected.", param, json_kind(token));
    }
    if (!token.is_number_unsigned() || token.get<uint64_t>() > UINT32_MAX) {
      return invalid_param(param, "'{}' has the token id {}; ids are from 0 to below the vocabulary's size.", param,
                           token.dump());
    }
    tokens.push_back(token.get<TokenId>());
  }
  return tokens;
}

}  // namespace slipstream
