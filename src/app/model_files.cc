#include "app/model_files.h"

#include <algorithm>

#include "app/byte_tokenizer.h"
#include "app/gguf_vocabulary.h"
#include "files/gguf.h"
#include "files/quoted.h"
#include "files/text_file.h"

namespace slipstream {
namespace {

// tokenizer.json of a vocabulary of 262,144 has 35 MB; chat templates have some 10 KB.
constexpr uint64_t kMaxTokenizerBytes = 256ull << 20;
constexpr uint64_t kMaxTemplateBytes = 4ull << 20;

// What the texts of a model are made from; both kinds of files end in this.
struct TextFiles {
  Tokenizer tokenizer;
  std::string chat_template;  // its source; "" where there is none
  std::string bos_token;
  std::string eos_token;
};

Result<TextFiles> open_folder_text(const std::string& folder) {
  ASSIGN_OR_RETURN(const std::string json, read_text_file(folder + "/tokenizer.json", kMaxTokenizerBytes));
  auto tokenizer = Tokenizer::from_json(json);
  if (!tokenizer.ok()) return std::move(tokenizer.error()).within("tokenizer.json");
  TextFiles text{std::move(tokenizer.value()), {}, {}, {}};
  if (file_exists(folder + "/tokenizer_config.json")) {
    ASSIGN_OR_RETURN(const std::string config_json,
                     read_text_file(folder + "/tokenizer_config.json", kMaxTokenizerBytes));
    auto config = read_tokenizer_config(config_json);
    if (!config.ok()) return std::move(config.error()).within("tokenizer_config.json");
    text.chat_template = std::move(config->chat_template);
    text.bos_token = std::move(config->bos_token);
    text.eos_token = std::move(config->eos_token);
  }
  if (file_exists(folder + "/chat_template.jinja")) {
    ASSIGN_OR_RETURN(text.chat_template, read_text_file(folder + "/chat_template.jinja", kMaxTemplateBytes));
  }
  return text;
}

Result<TextFiles> make_byte_text(const DummyShape& shape) {
  ASSIGN_OR_RETURN(Tokenizer tokenizer, Tokenizer::from_json(byte_tokenizer_json(shape.vocab_size)));
  ASSIGN_OR_RETURN(TokenizerConfig config, read_tokenizer_config(byte_tokenizer_config_json()));
  return TextFiles{std::move(tokenizer), byte_chat_template(), std::move(config.bos_token),
                   std::move(config.eos_token)};
}

// The text of the token whose id stands under `key`; "" where there is none.
Result<std::string> metadata_token(const GgufMetadata& metadata, std::string_view key,
                                   const BpeVocabulary& vocabulary) {
  if (metadata.find(key) == nullptr) return std::string();
  ASSIGN_OR_RETURN(const uint64_t id, metadata.get_uint(key));
  if (id >= vocabulary.tokens.size()) return invalid("{} is {}, expected below {}", key, id, vocabulary.tokens.size());
  return vocabulary.tokens[id];
}

Result<TextFiles> open_gguf_text(const GgufMetadata& metadata) {
  ASSIGN_OR_RETURN(const BpeVocabulary vocabulary, gguf_vocabulary(metadata));
  auto tokenizer = Tokenizer::from_bpe(vocabulary);
  if (!tokenizer.ok()) return std::move(tokenizer.error()).within("tokenizer.ggml");
  TextFiles text{std::move(tokenizer.value()), {}, {}, {}};
  ASSIGN_OR_RETURN(text.bos_token, metadata_token(metadata, "tokenizer.ggml.bos_token_id", vocabulary));
  ASSIGN_OR_RETURN(text.eos_token, metadata_token(metadata, "tokenizer.ggml.eos_token_id", vocabulary));
  if (metadata.find("tokenizer.chat_template") != nullptr) {
    ASSIGN_OR_RETURN(text.chat_template, metadata.get_string("tokenizer.chat_template"));
  }
  return text;
}

// The tokenizer's own end of text ends an answer too: some chat models name only one of the two in their config.
void add_eos_token(const TextFiles& text, ModelConfig& config) {
  const TokenTable& table = text.tokenizer.table();
  if (text.eos_token.empty()) return;
  for (TokenId token = 0; token < table.num_tokens(); ++token) {
    if (table.special[token] == 0 || table.token(token) != text.eos_token) continue;
    auto& tokens = config.eos_tokens;
    if (std::find(tokens.begin(), tokens.end(), token) == tokens.end()) tokens.push_back(token);
  }
}

}  // namespace

Result<Checkpoint> open_found(const ModelPath& model) {
  return model.dummy ? open_dummy(*model.dummy) : open_checkpoint(model.path);
}

Result<ModelText> open_model_text(Checkpoint& checkpoint) {
  const std::string& path = checkpoint.path;
  auto opened = checkpoint.dummy                       ? make_byte_text(*checkpoint.dummy)
                : checkpoint.names == TensorNames::kGguf ? open_gguf_text(checkpoint.metadata)
                                                         : open_folder_text(path);
  if (!opened.ok()) return std::move(opened.error()).within(path);
  TextFiles& text = opened.value();
  ModelConfig& config = checkpoint.config;
  if (text.tokenizer.vocab_size() > config.vocab_size) {
    return invalid("{}: the tokenizer has {} tokens, the model only {} (vocab_size). Are the files from two models?",
                   path, text.tokenizer.vocab_size(), config.vocab_size);
  }
  ChatTemplateTokens template_tokens{text.bos_token, text.eos_token, text.tokenizer.control_tokens()};
  std::optional<ChatTemplate> chat_template;
  if (!text.chat_template.empty()) {
    auto made = ChatTemplate::make(text.chat_template, template_tokens);
    if (!made.ok()) return std::move(made.error()).within(path + ": chat template");
    chat_template = std::move(made.value());
  }
  add_eos_token(text, config);
  return ModelText{std::move(text.tokenizer), std::move(chat_template), text.chat_template.size(),
                   std::move(template_tokens)};
}

Result<ModelFiles> open_model_files(const ModelPath& model) {
  ASSIGN_OR_RETURN(Checkpoint checkpoint, open_found(model));
  ASSIGN_OR_RETURN(ModelText text, open_model_text(checkpoint));
  return ModelFiles{std::move(checkpoint), std::move(text)};
}

Result<OpenedModel> load_model(ModelFiles files, ThreadPool& pool, const LoadProgress& progress) {
  ASSIGN_OR_RETURN(Weights weights, load_checkpoint(files.checkpoint, pool, progress));
  return OpenedModel{std::move(files.text), std::move(files.checkpoint.config), std::move(weights)};
}

}  // namespace slipstream
