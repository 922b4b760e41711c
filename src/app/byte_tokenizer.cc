#include "app/byte_tokenizer.h"

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "model/dummy_shape.h"

namespace slipstream {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kControlTokens[] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
constexpr uint32_t kNumBytes = 256;
static_assert(kDummyBosToken == kNumBytes && kDummyEosToken == kNumBytes + 2);

// GPT-2's alphabet, which ByteLevel tokenizers are written in: printable bytes are themselves, the others are the
// characters from U+0100 on, in order.
std::string byte_character(uint32_t byte) {
  const auto printable = [](uint32_t b) {
    return (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || (b >= 0xae && b <= 0xff);
  };
  uint32_t character = byte;
  if (!printable(byte)) {
    character = 0x100;
    for (uint32_t before = 0; before < byte; ++before) character += printable(before) ? 0 : 1;
  }
  if (character < 0x80) return std::string(1, static_cast<char>(character));
  return {static_cast<char>(0xc0 | character >> 6), static_cast<char>(0x80 | (character & 0x3f))};
}

// " aaaa", " aaab" ...: the number in base 26 behind a space.
std::string word(uint32_t number) {
  std::string letters(4, 'a');
  for (size_t i = letters.size(); i-- > 0; number /= 26) letters[i] = static_cast<char>('a' + number % 26);
  return byte_character(' ') + letters;
}

Json added_token(uint32_t id, const std::string& content) {
  return {{"id", id},         {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false},  {"normalized", false}, {"special", true}};
}

}  // namespace

std::string byte_tokenizer_json(uint32_t vocab_size) {
  CHECK(vocab_size >= kNumBytes + std::size(kControlTokens) && vocab_size < 26 * 26 * 26 * 26, "{}", vocab_size);
  Json vocabulary = Json::object();
  auto& pairs = vocabulary.get_ref<Json::object_t&>();  // appended: an ordered object looks through all at each []
  const auto add = [&pairs](std::string token) {
    const auto id = static_cast<uint32_t>(pairs.size());
    pairs.emplace_back(std::move(token), id);
  };
  for (uint32_t byte = 0; byte < kNumBytes; ++byte) add(byte_character(byte));
  Json added = Json::array();
  for (const char* token : kControlTokens) {
    added.push_back(added_token(static_cast<uint32_t>(pairs.size()), token));
    add(token);
  }
  for (uint32_t number = 0; pairs.size() < vocab_size; ++number) add(word(number));
  const Json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}};
  const Json tokenizer = {{"version", "1.0"},
                          {"truncation", nullptr},
                          {"padding", nullptr},
                          {"added_tokens", added},
                          {"normalizer", nullptr},
                          {"pre_tokenizer", byte_level},
                          {"post_processor", nullptr},
                          {"decoder", byte_level},
                          {"model",
                           {{"type", "BPE"},
                            {"dropout", nullptr},
                            {"unk_token", nullptr},
                            {"continuing_subword_prefix", ""},
                            {"end_of_word_suffix", ""},
                            {"fuse_unk", false},
                            {"byte_fallback", false},
                            {"ignore_merges", false},
                            {"vocab", std::move(vocabulary)},
                            {"merges", Json::array()}}}};
  return tokenizer.dump();
}

std::string byte_tokenizer_config_json() {
  Json decoder = Json::object();
  for (uint32_t i = 0; i < std::size(kControlTokens); ++i) {
    Json token = added_token(0, kControlTokens[i]);
    token.erase("id");
    decoder[std::to_string(kNumBytes + i)] = std::move(token);
  }
  const Json config = {{"add_bos_token", false},
                       {"added_tokens_decoder", decoder},
                       {"bos_token", kControlTokens[0]},
                       {"eos_token", kControlTokens[2]},
                       {"pad_token", kControlTokens[0]},
                       {"clean_up_tokenization_spaces", false},
                       {"tokenizer_class", "PreTrainedTokenizerFast"}};
  return config.dump(2);
}

std::string byte_chat_template() {
  return "{%- for message in messages %}"
         "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
         "{%- endfor %}"
         "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}";
}

}  // namespace slipstream
