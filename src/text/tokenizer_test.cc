#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/thread_pool.h"

namespace slipstream {
namespace {

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A real tokenizer.json, of 331 tokens: byte-level, "<|im_end|>" and two others are control tokens.
std::string small_json() { return read_file(SLIPSTREAM_TEST_DATA "/oracle/qwen3-mlx-4bit-g64/tokenizer.json"); }

// A tokenizer.json of few tokens, whose parts a test may replace.
struct Parts {
  std::string added = R"([{"id":4,"content":"<s>","special":true,"normalized":false},)"
                      R"({"id":5,"content":"<t>","special":false,"normalized":false}])";
  std::string normalizer = "null";
  std::string pre_tokenizer = "null";
  std::string post_processor = "null";
  std::string decoder =
      R"({"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"_"},"content":" "},)"
      R"({"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]})";
  std::string model = R"({"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"_":3},"merges":[["a","b"]]})";

  std::string json() const {
    return R"({"added_tokens":)" + added + R"(,"normalizer":)" + normalizer + R"(,"pre_tokenizer":)" + pre_tokenizer +
           R"(,"post_processor":)" + post_processor + R"(,"decoder":)" + decoder + R"(,"model":)" + model + "}";
  }
};

std::vector<TokenId> encoded(const Tokenizer& tokenizer, const std::vector<TextPiece>& pieces,
                             bool add_special = false) {
  auto ids = tokenizer.encode_pieces(pieces, add_special);
  EXPECT_TRUE(ids.ok()) << ids.error().message;
  return ids.ok() ? *ids : std::vector<TokenId>{};
}

using Ids = std::vector<TokenId>;

TEST(Tokenizer, control_tokens_are_found_in_trusted_pieces_only_and_other_added_tokens_everywhere) {
  auto tokenizer = Tokenizer::from_json(Parts{}.json());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  EXPECT_EQ(tokenizer->vocab_size(), 6u);
  EXPECT_EQ(tokenizer->control_tokens(), std::vector<std::string>{"<s>"});
  EXPECT_EQ(encoded(*tokenizer, {{"ab<s>ab<t>", true}}), (Ids{2, 4, 2, 5}));
  EXPECT_EQ(encoded(*tokenizer, {{"ab<s>ab<t>", false}}), (Ids{2, 2, 5}));  // "<", "s" and ">" have no tokens here
  EXPECT_EQ(tokenizer->encode("ab<s>ab<t>", false).value(), (Ids{2, 2, 5}));
  EXPECT_EQ(encoded(*tokenizer, {{"<s>", false}, {"<s>", true}, {"<s>", false}}), (Ids{4}));
}

TEST(Tokenizer, pieces_merge_over_their_borders_but_spell_no_control_token_over_them) {
  auto tokenizer = Tokenizer::from_json(Parts{}.json());
  ASSERT_TRUE(tokenizer.ok());
  EXPECT_EQ(encoded(*tokenizer, {{"a", true}, {"b", false}}), (Ids{2}));
  EXPECT_EQ(encoded(*tokenizer, {{"<", true}, {"s>", false}}), Ids{});
  EXPECT_EQ(encoded(*tokenizer, {{"<s", false}, {">", true}}), Ids{});
  EXPECT_EQ(encoded(*tokenizer, {{"<", false}, {"t>", true}}), (Ids{5}));  // not a control token
  EXPECT_EQ(encoded(*tokenizer, {{"<", true}, {"s>", true}}), (Ids{4}));   // all of it is trusted
}

TEST(Tokenizer, text_that_ends_like_a_longer_control_token_does_not_swallow_the_trusted_one_after_it) {
  Parts parts;
  parts.added = R"([{"id":4,"content":"<s>","special":true,"normalized":false},)"
                R"({"id":5,"content":"ab<s>","special":true,"normalized":false}])";
  auto tokenizer = Tokenizer::from_json(parts.json());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  EXPECT_EQ(encoded(*tokenizer, {{"ab", true}, {"<s>", true}}), (Ids{5}));
  EXPECT_EQ(encoded(*tokenizer, {{"ab", false}, {"<s>", true}}), (Ids{2, 4}));
}

TEST(Tokenizer, normalized_control_tokens_are_found_by_what_they_become_and_where_they_came_from) {
  Parts parts;
  parts.normalizer = R"({"type":"Lowercase"})";
  parts.added = R"([{"id":4,"content":"<S>","special":true,"normalized":true}])";
  auto tokenizer = Tokenizer::from_json(parts.json());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  EXPECT_EQ(encoded(*tokenizer, {{"AB<S>", true}}), (Ids{2, 4}));
  EXPECT_EQ(encoded(*tokenizer, {{"AB<S>", false}, {"<s>", true}}), (Ids{2, 4}));
}

TEST(Tokenizer, what_the_post_processor_adds_is_added_once) {
  Parts parts;
  parts.post_processor =
      R"({"type":"TemplateProcessing",)"
      R"("single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],)"
      R"("pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":0}}],)"
      R"("special_tokens":{"<s>":{"id":"<s>","ids":[4],"tokens":["<s>"]}}})";
  auto tokenizer = Tokenizer::from_json(parts.json());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  EXPECT_EQ(tokenizer->encode("ab", true).value(), (Ids{4, 2}));
  EXPECT_EQ(tokenizer->encode("ab", false).value(), (Ids{2}));
  EXPECT_EQ(tokenizer->encode("", true).value(), (Ids{4}));
  EXPECT_EQ(encoded(*tokenizer, {{"<s>", true}, {"ab", false}}, true), (Ids{4, 2}));  // it begins with it already
  EXPECT_EQ(encoded(*tokenizer, {{"<s>", false}, {"ab", false}}, true),
            (Ids{4, 2}));  // text that spells it does not count
  EXPECT_EQ(encoded(*tokenizer, {{"a", false}, {"<s>", true}}, true), (Ids{4, 0, 4}));
}

TEST(Tokenizer, several_threads_encode_at_once) {
  auto tokenizer = Tokenizer::from_json(small_json());
  ASSERT_TRUE(tokenizer.ok());
  std::vector<std::string> texts;
  std::vector<Ids> expected;
  for (uint32_t i = 0; i < 64; ++i) {
    texts.push_back("text number " + std::to_string(i * 7919) + " of the threads <|im_end|>, words and w\xC3\xB6rds");
    expected.push_back(tokenizer->encode(texts.back(), false).value());
  }
  ThreadPool pool(4);
  std::vector<uint32_t> num_wrong(4, 0);
  pool.run([&](uint32_t thread) {
    for (uint32_t round = 0; round < 20; ++round) {
      for (size_t i = 0; i < texts.size(); ++i) {
        auto ids = tokenizer->encode(texts[i], false);
        if (!ids.ok() || *ids != expected[i] || tokenizer->decode(expected[i], true).value() != texts[i])
          ++num_wrong[thread];
      }
    }
  });
  EXPECT_EQ(num_wrong, std::vector<uint32_t>(4, 0));
}

TEST(Tokenizer, text_that_is_not_utf8_is_an_error) {
  auto tokenizer = Tokenizer::from_json(small_json());
  ASSERT_TRUE(tokenizer.ok());
  auto ids = tokenizer->encode("a\xFFz", false);
  ASSERT_FALSE(ids.ok());
  EXPECT_EQ(ids.error().message, "the text is not UTF-8 at byte 1");
}

TEST(Tokenizer, ids_that_no_token_has_decode_to_nothing) {
  auto tokenizer = Tokenizer::from_json(small_json());
  ASSERT_TRUE(tokenizer.ok());
  const TokenId ids[] = {5, 4'000'000'000u, tokenizer->vocab_size()};
  EXPECT_EQ(tokenizer->decode(ids, true).value().size(), 1u);
  EXPECT_EQ(tokenizer->table().token(4'000'000'000u), "");
}

TEST(Tokenizer, a_file_that_would_take_much_more_memory_than_it_has_bytes_is_refused) {
  std::string lists = "[[]";
  for (int i = 0; i < 20000000; ++i) lists += ",[]";
  const auto tokenizer =
      Tokenizer::from_json(R"({"model":{"type":"BPE","vocab":{"a":0},"merges":[]},"decoder":)" + lists + "]}");
  ASSERT_FALSE(tokenizer.ok());
  EXPECT_EQ(tokenizer.error().message, "it takes too much memory");
}

TEST(TokenizerFromBpe, of_smollm_splits_digits_and_finds_control_tokens) {
  BpeVocabulary vocabulary{.pre = "smollm",
                           .tokens = {"<|im_end|>", "1", "2", "12", "a", "b", "ab", "<u>"},
                           .token_types = {3, 1, 1, 1, 1, 1, 1, 4},
                           .merges = {"1 2", "a b"},
                           .bos_token = {}};
  auto tokenizer = Tokenizer::from_bpe(vocabulary);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  EXPECT_EQ(tokenizer->encode("12ab<|im_end|><u>", false).value(), (Ids{1, 2, 6, 7}));
  EXPECT_EQ(encoded(*tokenizer, {{"ab<|im_end|>", true}}), (Ids{6, 0}));
  EXPECT_EQ(tokenizer->decode(Ids{3, 0, 6}, true).value(), "12ab");
}

// Every letter and digit, and what a test adds.
BpeVocabulary letters_and(const std::string& pre, const std::vector<std::string>& more) {
  BpeVocabulary vocabulary{.pre = pre, .tokens = {}, .token_types = {}, .merges = {}, .bos_token = {}};
  for (const char letter : std::string("abc123")) vocabulary.tokens.emplace_back(1, letter);
  vocabulary.tokens.insert(vocabulary.tokens.end(), more.begin(), more.end());
  vocabulary.token_types.assign(vocabulary.tokens.size(), 1);
  return vocabulary;
}

TEST(TokenizerFromBpe, of_llama_takes_three_digits_together_and_whole_pieces_before_merges) {
  BpeVocabulary vocabulary = letters_and("llama-bpe", {"12", "123", "31", "abc", "bc"});
  vocabulary.merges = {"1 2", "3 1", "b c"};
  auto tokenizer = Tokenizer::from_bpe(vocabulary);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  // "123" and "abc" are tokens that no merge makes.
  EXPECT_EQ(tokenizer->encode("123123", false).value(), (Ids{7, 7}));
  EXPECT_EQ(tokenizer->encode("1231", false).value(), (Ids{7, 3})) << "not 3 and 1 together";
  EXPECT_EQ(tokenizer->encode("abc", false).value(), (Ids{9}));
  EXPECT_EQ(tokenizer->encode("aabc", false).value(), (Ids{0, 0, 10}));
}

TEST(TokenizerFromBpe, of_qwen_takes_digits_one_by_one_and_composes_characters) {
  // An e with an accent: composed in two bytes, and an e before the accent alone.
  const std::string composed = "\xC3\xA9", apart = "e\xCC\x81";
  BpeVocabulary vocabulary = letters_and("qwen2", {"12", "\xC3\x83", "\xC2\xA9", "\xC3\x83\xC2\xA9"});
  vocabulary.merges = {"1 2", "\xC3\x83 \xC2\xA9"};
  auto tokenizer = Tokenizer::from_bpe(vocabulary);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  EXPECT_EQ(tokenizer->encode("12", false).value(), (Ids{3, 4}));
  EXPECT_EQ(tokenizer->encode(composed, false).value(), (Ids{9}));
  EXPECT_EQ(tokenizer->encode(apart, false).value(), (Ids{9}));
  EXPECT_EQ(tokenizer->decode(Ids{9}, false).value(), composed);
}

TEST(TokenizerFromBpe, bos_comes_once_and_only_where_it_is_asked_for) {
  BpeVocabulary vocabulary = letters_and("llama-bpe", {"<bos>"});
  vocabulary.token_types.back() = 3;
  vocabulary.bos_token = 6;
  auto tokenizer = Tokenizer::from_bpe(vocabulary);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  EXPECT_EQ(tokenizer->encode("a", true).value(), (Ids{6, 0}));
  EXPECT_EQ(tokenizer->encode("", true).value(), (Ids{6}));
  EXPECT_EQ(tokenizer->encode("a", false).value(), (Ids{0}));
  EXPECT_EQ(encoded(*tokenizer, {{"<bos>", true}, {"a", false}}, true), (Ids{6, 0})) << "a template's own";
  vocabulary.bos_token = 7;
  auto beyond = Tokenizer::from_bpe(vocabulary);
  ASSERT_FALSE(beyond.ok());
  EXPECT_EQ(beyond.error().message, "the token 7 that begins a text is none of the 7");
}

TEST(TokenizerFromBpe, unused_tokens_take_their_numbers_and_nothing_else) {
  BpeVocabulary vocabulary = letters_and("qwen2", {"<end>", "[PAD7]", "[PAD8]"});
  vocabulary.token_types = {1, 1, 1, 1, 1, 1, 3, 5, 5};
  auto tokenizer = Tokenizer::from_bpe(vocabulary);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  EXPECT_EQ(tokenizer->vocab_size(), 9u);
  EXPECT_EQ(encoded(*tokenizer, {{"a[PAD7]<end>", true}}), (Ids{0, 6}));
}

TEST(TokenizerFromBpe, what_is_wrong_or_unknown_is_named) {
  const BpeVocabulary good{.pre = "smollm", .tokens = {"a", "b", "ab"}, .token_types = {1, 1, 1}, .merges = {"a b"},
                           .bos_token = {}};
  ASSERT_TRUE(Tokenizer::from_bpe(good).ok());
  const auto check = [&](auto change, const std::string& expected) {
    BpeVocabulary vocabulary = good;
    change(vocabulary);
    auto tokenizer = Tokenizer::from_bpe(vocabulary);
    ASSERT_FALSE(tokenizer.ok()) << expected;
    EXPECT_NE(tokenizer.error().message.find(expected), std::string::npos) << tokenizer.error().message;
  };
  check([](auto& v) { v.pre = "tekken"; },
        "tokenizer.ggml.pre \"tekken\" is not read yet, only smollm, llama-bpe, qwen2");
  check([](auto& v) { v.bos_token = 3; }, "the token 3 that begins a text");
  check([](auto& v) { v.token_types.pop_back(); }, "2 token types for 3 tokens");
  check([](auto& v) { v.token_types[1] = 6; }, "has type 6");
  check([](auto& v) { v.merges.push_back("ab"); }, "not two tokens with one space");
  check([](auto& v) { v.merges.push_back("a c"); }, "out of vocabulary");
  check([](auto& v) { v.tokens[1] = "a"; }, "occurs twice");
  check([](auto& v) { v.tokens[1] = "\xFF"; }, "not UTF-8");
  check([](auto& v) { v = {.pre = "smollm", .tokens = {}, .token_types = {}, .merges = {}, .bos_token = {}}; },
        "the vocabulary is empty");
}

TEST(HostileTokenizerJson, every_wrong_part_is_an_error_that_names_it) {
  const auto check = [](Parts parts, const std::string& expected) {
    auto tokenizer = Tokenizer::from_json(parts.json());
    ASSERT_FALSE(tokenizer.ok()) << expected;
    EXPECT_NE(tokenizer.error().message.find(expected), std::string::npos) << tokenizer.error().message;
    EXPECT_EQ(tokenizer.error().message.find('\n'), std::string::npos);
    EXPECT_LT(tokenizer.error().message.size(), 600u);
  };
  const std::string long_pattern(20'000, 'x');
  // models
  check({.model = R"({"type":"Unigram","vocab":[["a",0.0]],"unk_id":0})"}, "type \"Unigram\" is not read yet");
  check({.model = R"({"type":"WordPiece","vocab":{"a":0}})"}, "type \"WordPiece\" is not read yet");
  check({.model = R"({"type":"BPE","vocab":{},"merges":[]})"}, "the vocabulary is empty");
  check({.model = R"({"type":"BPE","vocab":{"a":4000000000},"merges":[]})"}, "ids are below");
  check({.model = R"({"type":"BPE","vocab":{"a":0,"b":0},"merges":[]})"}, "two tokens have id 0");
  check({.model = R"({"type":"BPE","vocab":{"a":-1},"merges":[]})"}, "not a tokenizer.json");
  check({.model = R"({"type":"BPE","vocab":{"a":0},"merges":[["a","b"]]})"}, "out of vocabulary");
  check({.model = R"({"type":"BPE","vocab":{"a":0},"merges":["a"]})"}, "not two tokens");
  check({.model = R"({"type":"BPE","vocab":{"a":0},"merges":[],"dropout":0.5})"}, "random");
  check({.model = R"({"type":"BPE","vocab":{"a":0},"merges":[],"unk_token":"u"})"}, "unk_token \"u\"");
  check({.model = R"({"type":"BPE","vocab":{"a":0},"merges":[],"continuing_subword_prefix":"##"})"},
        "continuing_subword_prefix");
  // added tokens
  check({.added = R"([{"id":7,"content":"<s>"}])"}, "should have id 7");
  check({.added = R"([{"id":4,"content":""}])"}, "has 0 bytes");
  check({.added = R"([{"id":4}])"}, "content");
  // steps
  check({.normalizer = R"({"type":"Precompiled","precompiled_charsmap":"AAAA"})"},
        "type \"Precompiled\" is not read yet");
  check({.normalizer = R"({"type":"Replace","pattern":{"String":"a"},"content":")" + std::string(100, 'b') + "\"}"},
        "100 times");
  check({.normalizer = R"({"type":"Sequence","normalizers":[)" +
                       [] {
                         std::string list = R"({"type":"Prepend","prepend":"aa"})";
                         for (int i = 0; i < 6; ++i) list += R"(,{"type":"Prepend","prepend":"aa"})";
                         return list;
                       }() +
                       "]}"},
        "times as long");
  check({.normalizer = R"("NFC")"}, "normalizer");
  check({.pre_tokenizer = R"({"type":"Split","pattern":{"Regex":"(("},"behavior":"Isolated","invert":false})"},
        "pre_tokenizer");
  check({.pre_tokenizer = R"({"type":"Split","pattern":{"Regex":")" + long_pattern +
                          R"("},"behavior":"Isolated","invert":false})"},
        "pattern of 20000 bytes");
  check({.pre_tokenizer =
             R"({"type":"Split","pattern":{"Regex":"(a{900}){900}{900}"},"behavior":"Isolated","invert":false})"},
        "pre_tokenizer");
  check({.pre_tokenizer = R"({"type":"FixedLength","length":0})"}, "type \"FixedLength\" is not read yet");
  check({.decoder = "null"}, "decoder: there is none");
  check({.decoder = R"({"type":"WordPiece","prefix":"##","cleanup":true})"}, "type \"WordPiece\"");
  check({.decoder = R"({"type":"Sequence","decoders":[{"type":"Fuse"},{"type":"ByteFallback"}]})"},
        "type \"ByteFallback\" at this place");
  check({.decoder =
             R"({"type":"Sequence","decoders":[{"type":"Fuse"},{"type":"Strip","content":"x","start":1,"stop":1}]})"},
        "Strip");
  check({.post_processor = R"({"type":"BertProcessing","sep":["x",99],"cls":["y",98]})"},
        "which the vocabulary does not have");
  check(
      {.post_processor =
           R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}}],)"
           R"("pair":[],"special_tokens":{}})"},
      "post_processor");
}

TEST(HostileTokenizerJson, what_is_no_tokenizer_is_an_error) {
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += R"({"normalizer":[)";
  for (const std::string& json :
       {std::string(), std::string("{}"), std::string("[]"), std::string("null"), std::string("{\"model\":7}"),
        std::string(100'000, '['), deep, small_json().substr(0, 5000), std::string("\xFF\xFE\x00", 3)}) {
    auto tokenizer = Tokenizer::from_json(json);
    ASSERT_FALSE(tokenizer.ok());
    EXPECT_NE(tokenizer.error().message.find("not a tokenizer.json"), std::string::npos) << tokenizer.error().message;
  }
}

// A pattern that would look for ever gives up; the text it gave up on is still all there.
TEST(HostileTokenizerJson, a_pattern_of_exponential_time_loses_no_text) {
  Parts parts;
  parts.pre_tokenizer =
      R"({"type":"Split","pattern":{"Regex":"(?=(a+)+$)b|c"},"behavior":"Isolated","invert":false})";
  auto tokenizer = Tokenizer::from_json(parts.json());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  const std::string text = std::string(64, 'a') + "_" + std::string(64, 'b');
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(text, false).value(), true).value(),
            std::string(64, 'a') + " " + std::string(64, 'b'));
}

// Bytes changed at random: an error, or a tokenizer that works; never a crash.
TEST(HostileTokenizerJson, damaged_files_do_no_harm) {
  const std::string json = small_json();
  constexpr uint32_t kSeed = 20240726;
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  std::mt19937 random(kSeed);
  uint32_t num_read = 0;
  for (uint32_t round = 0; round < 1500; ++round) {
    std::string damaged = json;
    for (uint32_t change = 0; change <= random() % 4; ++change) {
      const size_t at = random() % damaged.size();
      switch (random() % 4) {
        case 0:
          damaged[at] = static_cast<char>(random());
          break;
        case 1:
          damaged.erase(at, 1 + random() % 40);
          break;
        case 2:
          damaged.insert(at, json.substr(random() % json.size(), random() % 60));
          break;
        default:
          std::swap(damaged[at], damaged[random() % damaged.size()]);
          break;
      }
    }
    auto tokenizer = Tokenizer::from_json(damaged);
    if (!tokenizer.ok()) continue;
    ++num_read;
    auto ids = tokenizer->encode("some text <|im_end|> 123 \xC3\xA9", true);
    ASSERT_TRUE(ids.ok()) << ids.error().message;
    for (const TokenId id : *ids) ASSERT_LT(id, tokenizer->vocab_size());
    ASSERT_TRUE(tokenizer->decode(*ids, true).ok());
  }
  EXPECT_GT(num_read, 20u);
}

}  // namespace
}  // namespace slipstream
