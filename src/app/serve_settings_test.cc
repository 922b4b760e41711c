#include "app/serve_settings.h"

#include <gtest/gtest.h>

#include <sys/stat.h>

#include <cstdio>
#include <fstream>
#include <set>

namespace slipstream {
namespace {

struct Outcome {
  ServeSettings settings;
  std::vector<std::string> mistakes;
};

// Options as typed: {"--port", "80"}; a flag's value is "".
Outcome read(const std::vector<std::pair<std::string, std::string>>& typed) {
  std::vector<GivenOption> given;
  for (const auto& [typed_name, value] : typed) {
    const std::string& name = typed_name;  // clang 14 captures no structured binding
    const auto same = std::find_if(given.begin(), given.end(), [&](const auto& option) { return option.name == name; });
    if (same != given.end()) {
      same->values.push_back(value);
    } else {
      given.push_back({name, {value}});
    }
  }
  Outcome outcome;
  outcome.mistakes = read_serve_options(given, outcome.settings);
  return outcome;
}

using Mistakes = std::vector<std::string>;

TEST(ServeSettings, every_option_changes_its_field) {
  const Outcome outcome = read({{"--continuous-batching", ""},
                                {"--max-num-seqs", "8"},
                                {"--max-num-batched-tokens", "512"},
                                {"--max-step-ms", "12.5"},
                                {"--stream-interval", "4"},
                                {"--speculative", "prompt-lookup"},
                                {"--use-paged-cache", ""},
                                {"--paged-cache-block-size", "32"},
                                {"--cache-memory-mb", "100"},
                                {"--max-model-len", "999"},
                                {"--no-prefix-cache", ""},
                                {"--host", "0.0.0.0"},
                                {"--port", "0"},
                                {"--api-key", "a"},
                                {"--api-key", "b"},
                                {"--allowed-origins", "https://a.example:8443"},
                                {"--allowed-origins", "*"},
                                {"--max-waiting-requests", "7"},
                                {"--max-waiting-tokens", "1000"},
                                {"--shutdown-timeout", "0"},
                                {"--served-model-name", "m"},
                                {"--chat-template", "t.jinja"},
                                {"--generation-config", "none"},
                                {"--dummy", "qwen3-0.6b-8bit:3"},
                                {"--threads", "3"},
                                {"--isa", "reference"},
                                {"--log-level", "debug"}});
  EXPECT_EQ(outcome.mistakes, Mistakes{});
  const ServeSettings& s = outcome.settings;
  EXPECT_TRUE(s.continuous_batching);
  EXPECT_EQ(s.max_num_seqs, 8u);
  EXPECT_EQ(s.max_num_batched_tokens, 512u);
  EXPECT_EQ(s.max_step_ms, 12.5);
  EXPECT_EQ(s.stream_interval, 4u);
  EXPECT_TRUE(s.prompt_lookup);
  EXPECT_TRUE(s.use_paged_cache);
  EXPECT_EQ(s.block_tokens, 32u);
  EXPECT_EQ(s.cache_memory_mb, 100u);
  EXPECT_EQ(s.max_model_len, 999u);
  EXPECT_FALSE(s.prefix_cache);
  EXPECT_EQ(s.host, "0.0.0.0");
  EXPECT_EQ(s.port, 0u);
  EXPECT_EQ(s.api_keys, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(s.allowed_origins, (std::vector<std::string>{"https://a.example:8443", "*"}));
  EXPECT_EQ(s.max_waiting_requests, 7u);
  EXPECT_EQ(s.max_waiting_tokens, 1000u);
  EXPECT_EQ(s.shutdown_timeout_s, 0u);
  EXPECT_EQ(s.served_model_name, "m");
  EXPECT_EQ(s.chat_template, "t.jinja");
  EXPECT_FALSE(s.suggested_sampling);
  EXPECT_EQ(s.dummy, "qwen3-0.6b-8bit:3");
  EXPECT_EQ(s.threads, 3u);
  EXPECT_EQ(s.isa, Isa::kReference);
  EXPECT_EQ(s.log_level, LogLevel::kDebug);
  EXPECT_EQ(read({{"--warm-prompts", "w.json"}}).settings.warm_prompts, "w.json");
  EXPECT_TRUE(read({{"--share-cache", ""}}).settings.share_cache);
  EXPECT_EQ(read({{"--cache-memory-percent", "0.5"}}).settings.cache_memory_percent, 0.5);
  EXPECT_TRUE(read({{"--no-auth", ""}}).settings.no_auth);
}

TEST(ServeSettings, every_mistake_is_named_at_once) {
  const Outcome outcome =
      read({{"--port", "70000"}, {"--max-step-ms", "soon"}, {"--paged-cache-block-size", "48"}, {"--isa", "neon"}});
  EXPECT_EQ(outcome.mistakes, (Mistakes{"--port: expected a whole number from 0 to 65535, not '70000'",
                                        "--max-step-ms: expected milliseconds from 0 to 60000, not 'soon'",
                                        "--paged-cache-block-size: expected 16, 32, 64, 128 or 256, not '48'",
                                        "--isa: expected reference, avx2 or avx512, not 'neon'"}));
}

TEST(ServeSettings, numbers_are_read_to_their_last_character_and_checked) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> wrong = {
      {"--port", {"", "8000x", " 8000", "-1", "65536", "1e3", "99999999999999999999"}},
      {"--max-num-seqs", {"0", "4097"}},
      {"--max-num-batched-tokens", {"0", "65537"}},
      {"--stream-interval", {"0", "1.5"}},
      {"--paged-cache-block-size", {"8", "512", "63", "0"}},
      {"--cache-memory-mb", {"0", "-5", "x"}},
      {"--prefix-cache-size", {"0", "-1", "1073741825", ""}},
      {"--cache-memory-percent", {"0", "1.01", "-0.2", "nan", "20%", "inf"}},
      {"--max-model-len", {"0"}},
      {"--max-step-ms", {"-1", "nan", "60001"}},
      {"--dummy", {"", "llama", "qwen3-0.6b-8bit:", "qwen3-0.6b-8bit:x", "qwen3-0.6b-8bit:-1"}},
      {"--threads", {"0", "1025"}},
      {"--log-level", {"loud", ""}},
      {"--host", {""}},
      {"--api-key", {"", "two words", "caf\xc3\xa9"}},
      {"--api-key-file", {"", "/no/such/file", "/"}},
      {"--allowed-origins",
       {"", "a.example", "https://", "://a", "https://a.example/", "https://a.example/page", "https://a https://b"}},
      {"--max-waiting-requests", {"0", "1048577"}},
      {"--max-waiting-tokens", {"0"}},
      {"--shutdown-timeout", {"-1", "86401", "1m"}},
      {"--served-model-name", {""}},
      {"--chat-template", {""}},
      {"--warm-prompts", {""}},
      {"--generation-config", {"None", "", "vllm"}},
      {"--speculative", {"on", "", "ngram"}},
  };
  for (const auto& [name, values] : wrong) {
    for (const std::string& value : values) {
      Outcome outcome =
          name == "--max-num-seqs" ? read({{"--continuous-batching", ""}, {name, value}}) : read({{name, value}});
      ASSERT_EQ(outcome.mistakes.size(), 1u) << name << " '" << value << "'";
      EXPECT_EQ(outcome.mistakes[0].rfind(name + ": ", 0), 0u) << outcome.mistakes[0];
    }
  }
}

TEST(ServeSettings, an_option_given_twice_is_a_mistake) {
  EXPECT_EQ(read({{"--port", "1"}, {"--port", "2"}}).mistakes, (Mistakes{"--port: is given 2 times"}));
}

TEST(ServeSettings, a_cache_on_the_disk_has_a_folder_and_a_size) {
  const Outcome outcome = read({{"--cache-dir", "/var/cache/x"}, {"--cache-disk-mb", "300"}});
  EXPECT_EQ(outcome.mistakes, Mistakes{});
  EXPECT_EQ(outcome.settings.cache_dir, "/var/cache/x");
  EXPECT_EQ(outcome.settings.cache_disk_mb, 300u);
  EXPECT_EQ(read({{"--cache-disk-mb", "300"}}).mistakes, (Mistakes{"--cache-disk-mb: needs --cache-dir"}));
  EXPECT_EQ(read({{"--cache-dir", "x"}, {"--cache-disk-mb", "0"}}).mistakes.size(), 1u);
  EXPECT_EQ(read({{"--cache-dir", ""}}).mistakes.size(), 1u);
  EXPECT_EQ(read({{"--cache-dir", "x"}, {"--no-prefix-cache", ""}}).mistakes,
            (Mistakes{"--cache-dir, --no-prefix-cache: give one of the two"}));
}

TEST(ServeSettings, another_host_needs_a_key_or_no_auth) {
  for (const char* host : {"127.0.0.1", "127.1.2.3", "localhost", "::1"})
    EXPECT_EQ(read({{"--host", host}}).mistakes, Mistakes{});
  EXPECT_EQ(read({{"--host", "0.0.0.0"}}).mistakes,
            (Mistakes{"--host: 0.0.0.0 can be reached from other machines; give --api-key-file FILE or --api-key KEY, "
                      "or --no-auth"}));
  EXPECT_EQ(read({{"--host", "0.0.0.0"}, {"--api-key", "k"}}).mistakes, Mistakes{});
  EXPECT_EQ(read({{"--host", "0.0.0.0"}, {"--no-auth", ""}}).mistakes, Mistakes{});
}

TEST(ServeSettings, keys_come_from_the_command_line_and_from_files_and_are_there_once) {
  const std::string path = testing::TempDir() + "serve_settings_test_keys";
  std::ofstream(path) << "b\nc\n";
  chmod(path.c_str(), 0600);
  EXPECT_EQ(read({{"--api-key", "a"}, {"--api-key-file", path}}).settings.api_keys,
            (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(read({{"--api-key", "c"}, {"--api-key-file", path}}).mistakes,
            (Mistakes{"--api-key, --api-key-file: key 3 is key 1 again"}));
  EXPECT_EQ(read({{"--host", "0.0.0.0"}, {"--api-key-file", path}}).mistakes, Mistakes{});
  std::remove(path.c_str());
}

TEST(ServeSettings, the_number_of_remembered_prompts_counts_where_memory_alone_does_not) {
  EXPECT_TRUE(ServeSettings().memory_aware_cache);
  const Outcome by_number = read({{"--no-memory-aware-cache", ""}});
  EXPECT_EQ(by_number.mistakes, Mistakes{});
  EXPECT_FALSE(by_number.settings.memory_aware_cache);
  EXPECT_EQ(by_number.settings.prefix_cache_size, 100u);
  const Outcome given = read({{"--prefix-cache-size", "7"}, {"--no-memory-aware-cache", ""}});
  EXPECT_EQ(given.settings.prefix_cache_size, 7u);
  EXPECT_EQ(given.settings.warnings, Mistakes{});
  const Outcome idle = read({{"--prefix-cache-size", "7"}});  // as command lines of elsewhere have it
  EXPECT_EQ(idle.mistakes, Mistakes{});
  EXPECT_EQ(idle.settings.warnings.size(), 1u);
  EXPECT_EQ(read({{"--no-memory-aware-cache", ""}, {"--no-prefix-cache", ""}}).settings.warnings.size(), 1u);
}

TEST(ServeSettings, options_that_contradict_each_other_are_refused) {
  EXPECT_EQ(read({{"--max-num-seqs", "8"}}).mistakes.size(), 1u);
  EXPECT_EQ(read({{"--cache-memory-mb", "8"}, {"--cache-memory-percent", "0.1"}}).mistakes.size(), 1u);
  EXPECT_EQ(read({{"--api-key", "k"}, {"--no-auth", ""}}).mistakes.size(), 1u);
  EXPECT_EQ(read({{"--warm-prompts", "w.json"}, {"--no-prefix-cache", ""}}).mistakes.size(), 1u);
  EXPECT_EQ(read({{"--continuous-batching", ""}, {"--max-num-batched-tokens", "100"}}).mistakes.size(), 1u);
  EXPECT_EQ(read({{"--max-num-batched-tokens", "100"}}).mistakes, Mistakes{});  // simple mode: one sequence
}

TEST(ServeSettings, options_have_one_name_each_and_help_unless_they_are_not_there_yet) {
  std::set<std::string_view> names;
  for (const ServeOption& option : serve_options()) {
    EXPECT_TRUE(names.insert(option.name).second) << option.name;
    EXPECT_EQ(option.group.empty(), option.help.empty()) << option.name;
  }
  EXPECT_LE(names.size(), 40u);  // the budget of STYLE 3
}

}  // namespace
}  // namespace slipstream
