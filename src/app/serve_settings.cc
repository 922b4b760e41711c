#include "app/serve_settings.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <map>
#include <utility>

#include "app/api_key_file.h"
#include "model/dummy_shape.h"
#include "server/api_keys.h"

namespace slipstream {
namespace {

constexpr std::string_view kBatching = "Batching";
constexpr std::string_view kCache = "KV cache";
constexpr std::string_view kServer = "Server";
constexpr std::string_view kMachine = "Machine";

template <class Number>
std::optional<Number> whole_text_as(std::string_view text) {
  Number number{};
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (fault != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

template <class Number, class Field>
Status read_whole(std::string_view text, Number least, Number most, Field& field) {
  const auto number = whole_text_as<Number>(text);
  if (!number || *number < least || *number > most)
    return invalid("expected a whole number from {} to {}, not '{}'", least, most, text);
  field = *number;
  return ok_status();
}

Status read_text(std::string_view text, std::string& field) {
  if (text.empty()) return invalid("expected a text that is not empty");
  field = text;
  return ok_status();
}

template <bool ServeSettings::*field, bool value>
Status set_flag(std::string_view, ServeSettings& settings) {
  settings.*field = value;
  return ok_status();
}

// "https://chat.example.org:8443": scheme, host, port if it is not the scheme's own; no path, not even its slash. That
// is how browsers write it, and the two are compared as they are.
Status read_origin(std::string_view text, ServeSettings& settings) {
  const size_t host = text.find("://") == std::string_view::npos ? text.size() : text.find("://") + 3;
  const bool is_origin = host > 3 && host < text.size() && text.find('/', host) == std::string_view::npos &&
                         std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f && c != ','; });
  if (text != "*" && !is_origin) {
    return invalid("expected an origin as browsers send it, like https://chat.example.org, or *, not '{}'", text);
  }
  settings.allowed_origins.emplace_back(text);
  return ok_status();
}

const ServeOption kOptions[] = {
    {"--continuous-batching", "", kBatching,
     "Requests run together, up to --max-num-seqs of them. Without it (simple mode) one runs at a time and the "
     "others wait in turn. No answer depends on who else runs.",
     false, set_flag<&ServeSettings::continuous_batching, true>},
    {"--max-num-seqs", "N", kBatching, "How many run together (256)", false,
     [](std::string_view v, ServeSettings& s) { return read_whole<uint32_t>(v, 1, 4096, s.max_num_seqs); }},
    {"--max-num-batched-tokens", "N", kBatching, "Most tokens that one step computes (2048)", false,
     [](std::string_view v, ServeSettings& s) { return read_whole<uint32_t>(v, 1, 65536, s.max_num_batched_tokens); }},
    {"--max-step-ms", "T", kBatching,
     "Prompts are cut so that a step takes about T milliseconds (200): a long prompt does not freeze running "
     "answers. 0: cut by tokens only. Cutting never changes an answer",
     false, [](std::string_view v, ServeSettings& s) -> Status {
       const auto number = whole_text_as<double>(v);
       if (!number || !(*number >= 0 && *number <= 60'000))
         return invalid("expected milliseconds from 0 to 60000, not '{}'", v);
       s.max_step_ms = *number;
       return ok_status();
     }},
    {"--stream-interval", "N", kBatching,
     "A stream sends text at its first token, then every N tokens (1), and at the end. Nothing is dropped", false,
     [](std::string_view v, ServeSettings& s) { return read_whole<uint32_t>(v, 1, 65536, s.stream_interval); }},

    {"--speculative", "NAME", kBatching,
     "prompt-lookup: an answer that repeats what stands in its request (code that is changed, text that is quoted) "
     "or in itself is guessed some tokens ahead, and the guess verified in one step. No answer changes by it. How much "
     "is guessed follows what it gains; no request takes more than 2 % longer. none (the default): a token a step",
     false, [](std::string_view v, ServeSettings& s) -> Status {
       if (v != "prompt-lookup" && v != "none") return invalid("expected prompt-lookup or none, not '{}'", v);
       s.prompt_lookup = v == "prompt-lookup";
       return ok_status();
     }},

    {"--use-paged-cache", "", kCache, "Accepted, and changes nothing: the KV cache is always paged", false,
     set_flag<&ServeSettings::use_paged_cache, true>},
    {"--paged-cache-block-size", "N", kCache,
     "Tokens in a block, a power of two from 16 to 256 (64). Smaller blocks share more; the answer's bits do not "
     "depend on it",
     false, [](std::string_view v, ServeSettings& s) -> Status {
       const auto number = whole_text_as<uint32_t>(v);
       if (!number || *number < 16 || *number > 256 || !std::has_single_bit(*number)) {
         return invalid("expected 16, 32, 64, 128 or 256, not '{}'", v);
       }
       s.block_tokens = *number;
       return ok_status();
     }},
    {"--cache-memory-mb", "N", kCache,
     "The KV pool is N MiB, for running and remembered tokens together (where this option comes from it bounds the "
     "remembered part only)",
     false, [](std::string_view v, ServeSettings& s) {
       return read_whole<uint64_t>(v, 1, uint64_t{1} << 40, s.cache_memory_mb);
     }},
    {"--cache-memory-percent", "P", kCache,
     "The KV pool is this fraction (0.20) of the memory that is available, cgroup limits included, once the weights "
     "are in",
     false, [](std::string_view v, ServeSettings& s) -> Status {
       const auto number = whole_text_as<double>(v);
       if (!number || !(*number > 0 && *number <= 1))
         return invalid("expected a fraction above 0, at most 1, not '{}'", v);
       s.cache_memory_percent = *number;
       return ok_status();
     }},
    {"--max-model-len", "N", kCache,
     "Longest prompt and answer together, in tokens. Not given: the model's own, or less where the KV pool cannot "
     "hold it",
     false, [](std::string_view v, ServeSettings& s) {
       return read_whole<uint32_t>(v, 1, uint32_t{1} << 30, s.max_model_len);
     }},
    {"--no-prefix-cache", "", kCache, "Nothing is remembered or shared between requests (for comparison)", false,
     set_flag<&ServeSettings::prefix_cache, false>},
    {"--no-memory-aware-cache", "", kCache,
     "Remembered prompts are bounded by their number too (--prefix-cache-size), besides the memory of the KV pool",
     false, set_flag<&ServeSettings::memory_aware_cache, false>},
    {"--prefix-cache-size", "N", kCache,
     "With --no-memory-aware-cache: at most N prompts (100) are remembered. Prompts that begin alike count for their "
     "different ends; the one unused for longest is forgotten first, back to where others begin like it",
     false, [](std::string_view v, ServeSettings& s) {
       return read_whole<uint32_t>(v, 1, uint32_t{1} << 30, s.prefix_cache_size);
     }},
    {"--share-cache", "", kCache,
     "Requests of different API keys share what is cached too: a prompt that many users begin with is stored and "
     "computed once. A user can then find out by the time an answer takes what others have asked. Without it each key "
     "has its own; cache_salt in a request keeps it apart in both cases",
     false, set_flag<&ServeSettings::share_cache, true>},
    {"--warm-prompts", "FILE", kCache,
     "Computes beginnings of chats before the server is ready: a JSON array, each entry an array of messages as chats "
     "have it, [[{\"role\":\"system\",\"content\":\"...\"}], ...]. A chat that begins with those messages finds them "
     "cached. With several API keys they are computed and stored for each, unless --share-cache; a request with "
     "cache_salt does not find them",
     false, [](std::string_view v, ServeSettings& s) { return read_text(v, s.warm_prompts); }},
    {"--cache-dir", "DIR", kCache,
     "What memory has no room for, and all that is cached when the server ends, is kept in files in DIR, and found "
     "there by later requests and by the next server of this model. One server at a time; DIR is made if it is not "
     "there, for its owner alone: what users wrote can be worked out from it. DELETE /v1/cache empties it too",
     false, [](std::string_view v, ServeSettings& s) { return read_text(v, s.cache_dir); }},
    {"--cache-disk-mb", "N", kCache,
     "With --cache-dir: at most N MiB of files (10240); those unused for longest go first. What does not fit, on a "
     "full disk either, is forgotten",
     false, [](std::string_view v, ServeSettings& s) {
       return read_whole<uint64_t>(v, 1, uint64_t{1} << 40, s.cache_disk_mb);
     }},

    {"--host", "ADDRESS", kServer,
     "Address to listen on (127.0.0.1). Any but this machine's own needs --api-key-file, --api-key or --no-auth", false,
     [](std::string_view v, ServeSettings& s) { return read_text(v, s.host); }},
    {"--port", "N", kServer, "Port (8000); 0: any free one", false,
     [](std::string_view v, ServeSettings& s) { return read_whole<uint32_t>(v, 0, 65535, s.port); }},
    {"--api-key", "KEY", kServer,
     "Requests must carry 'Authorization: Bearer KEY'. May be given several times: each key's requests wait in a line "
     "of their own, and the lines take turns. Other users of this machine can see it; --api-key-file hides it",
     true, [](std::string_view v, ServeSettings& s) -> Status {
       RETURN_IF_ERROR(check_api_key(v));
       s.api_keys.emplace_back(v);
       return ok_status();
     }},
    {"--api-key-file", "FILE", kServer,
     "The same for keys in a file, one a line; empty lines and those that begin with # are passed over", true,
     [](std::string_view v, ServeSettings& s) { return read_api_key_file(std::string(v), s.api_keys, s.warnings); }},
    {"--no-auth", "", kServer, "Serve other machines without a key", false,
     set_flag<&ServeSettings::no_auth, true>},
    {"--allowed-origins", "ORIGIN", kServer,
     "Pages of this origin (https://chat.example.org) may use this server from a browser; * for all. May be given "
     "several times. Not given: no page may",
     true, read_origin},
    {"--max-waiting-requests", "N", kServer,
     "Requests that wait, at most (4096); the next are refused with 429. With several keys each may hold as many as "
     "are still free",
     false, [](std::string_view v, ServeSettings& s) {
       return read_whole<uint32_t>(v, 1, 1u << 20, s.max_waiting_requests);
     }},
    {"--max-waiting-tokens", "N", kServer,
     "The same in prompt tokens (16777216), of four bytes each; penalties and stop strings count for the memory they "
     "keep", false,
     [](std::string_view v, ServeSettings& s) {
       return read_whole<uint64_t>(v, 1, uint64_t{1} << 40, s.max_waiting_tokens);
     }},
    {"--shutdown-timeout", "S", kServer,
     "After SIGTERM running answers get S seconds (30) to end; then they are cut off, and told so", false,
     [](std::string_view v, ServeSettings& s) { return read_whole<uint32_t>(v, 0, 86'400, s.shutdown_timeout_s); }},
    {"--served-model-name", "NAME", kServer,
     "What clients call the model (its name on the hub, or the folder's or file's own)", false,
     [](std::string_view v, ServeSettings& s) { return read_text(v, s.served_model_name); }},
    {"--chat-template", "FILE", kServer, "A chat template (Jinja) in place of the model's own", false,
     [](std::string_view v, ServeSettings& s) { return read_text(v, s.chat_template); }},
    {"--generation-config", "NAME", kServer,
     "Where a request does not say how to sample: as the model's generation_config.json suggests (auto: temperature, "
     "top_p, top_k, min_p, repetition_penalty; max_new_tokens for chats; temperature 0 where do_sample is false), or "
     "by OpenAI's defaults (none)",
     false, [](std::string_view v, ServeSettings& s) -> Status {
       if (v != "auto" && v != "none") return invalid("expected auto or none, not '{}'", v);
       s.suggested_sampling = v == "auto";
       return ok_status();
     }},

    {"--dummy", "SHAPE[:SEED]", kMachine,
     "Instead of MODEL: random weights as large and slow as a real model's. SHAPE is what make-dummy takes", false,
     [](std::string_view v, ServeSettings& s) -> Status {
       RETURN_IF_ERROR(read_text(v, s.dummy));
       RETURN_IF_ERROR(read_dummy_name(v));
       return ok_status();
     }},
    {"--threads", "N", kMachine, "Compute threads (as many as processors may be used). Never changes an answer", false,
     [](std::string_view v, ServeSettings& s) { return read_whole<uint32_t>(v, 1, 1024, s.threads); }},
    {"--isa", "NAME", kMachine,
     "Instruction set: reference, avx2 or avx512 (the best there is). Never changes an answer", false,
     [](std::string_view v, ServeSettings& s) -> Status {
       const auto isa = isa_from_name(v);
       if (!isa) return invalid("expected reference, avx2 or avx512, not '{}'", v);
       if (!isa_supported(*isa)) return invalid("this processor does not have {}", v);
       s.isa = *isa;
       return ok_status();
     }},
    {"--log-level", "NAME", kMachine, "debug (a line for each step), info, warning, error or off (info)", false,
     [](std::string_view v, ServeSettings& s) -> Status {
       const auto level = log_level_from_name(v);
       if (!level) return invalid("expected debug, info, warning, error or off, not '{}'", v);
       s.log_level = *level;
       return ok_status();
     }},
};

bool is_loopback(std::string_view host) {
  return host == "localhost" || host == "::1" || host.substr(0, 4) == "127.";
}

// Counted from 1: the first text that was there before, and where.
std::optional<std::pair<size_t, size_t>> repeated(const std::vector<std::string>& texts) {
  std::map<std::string_view, size_t> seen;
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto [before, is_new] = seen.emplace(texts[i], i + 1);
    if (!is_new) return std::pair(before->second, i + 1);
  }
  return std::nullopt;
}

// What is accepted although another option makes nothing of it: command lines that worked elsewhere go on working.
void warn_of_idle_options(bool has_size, ServeSettings& settings) {
  if (has_size && settings.memory_aware_cache) {
    settings.warnings.push_back(
        "--prefix-cache-size changes nothing without --no-memory-aware-cache: the KV pool alone is the bound");
  }
  if (!settings.memory_aware_cache && !settings.prefix_cache) {
    settings.warnings.push_back(
        "--no-memory-aware-cache changes nothing with --no-prefix-cache: nothing is remembered");
  }
}

// What no option can see alone.
void check_together(std::span<const GivenOption> given, ServeSettings& settings, std::vector<std::string>& mistakes) {
  const auto has = [given](std::string_view name) {
    return std::any_of(given.begin(), given.end(), [name](const GivenOption& option) { return option.name == name; });
  };
  if (has("--max-num-seqs") && !settings.continuous_batching) {
    mistakes.push_back("--max-num-seqs: needs --continuous-batching; without it one request runs at a time");
  }
  if (settings.continuous_batching && settings.max_num_batched_tokens < settings.max_num_seqs) {
    mistakes.push_back(
        fmt::format("--max-num-batched-tokens: {} is less than --max-num-seqs {}; each running request computes one",
                    settings.max_num_batched_tokens, settings.max_num_seqs));
  }
  if (settings.cache_memory_mb && settings.cache_memory_percent) {
    mistakes.push_back("--cache-memory-mb, --cache-memory-percent: give one of the two");
  }
  if (!settings.warm_prompts.empty() && !settings.prefix_cache) {
    mistakes.push_back("--warm-prompts, --no-prefix-cache: give one of the two");
  }
  if (!settings.cache_dir.empty() && !settings.prefix_cache) {
    mistakes.push_back("--cache-dir, --no-prefix-cache: give one of the two");
  }
  if (has("--cache-disk-mb") && settings.cache_dir.empty()) mistakes.push_back("--cache-disk-mb: needs --cache-dir");
  warn_of_idle_options(has("--prefix-cache-size"), settings);
  if (settings.no_auth && !settings.api_keys.empty()) mistakes.push_back("--api-key, --no-auth: give one of the two");
  if (const auto twice = repeated(settings.api_keys)) {
    mistakes.push_back(fmt::format("--api-key, --api-key-file: key {} is key {} again", twice->second, twice->first));
  }
  if (!is_loopback(settings.host) && settings.api_keys.empty() && !settings.no_auth) {
    mistakes.push_back(
        fmt::format("--host: {} can be reached from other machines; give --api-key-file FILE or --api-key KEY, or "
                    "--no-auth",
                    settings.host));
  }
}

}  // namespace

std::span<const ServeOption> serve_options() { return kOptions; }

std::vector<std::string> read_serve_options(std::span<const GivenOption> given, ServeSettings& settings) {
  std::vector<std::string> mistakes;
  for (const GivenOption& option : given) {
    const auto row = std::find_if(std::begin(kOptions), std::end(kOptions),
                                  [&option](const ServeOption& known) { return known.name == option.name; });
    CHECK(row != std::end(kOptions), "{} is in no row", option.name);
    if (option.values.size() > 1 && !row->repeatable) {
      mistakes.push_back(fmt::format("{}: is given {} times", option.name, option.values.size()));
      continue;
    }
    for (const std::string& value : option.values) {
      const Status status = row->set(value, settings);
      if (!status.ok()) mistakes.push_back(fmt::format("{}: {}", option.name, status.error().message));
    }
  }
  check_together(given, settings, mistakes);
  return mistakes;
}

}  // namespace slipstream
