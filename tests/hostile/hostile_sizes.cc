// Wrong by number: a hundred thousand of what there are a few of, and files of lists that would become a hundred times
// as much memory.
#include <fmt/format.h>

#include "hostile/hostile_edits.h"

namespace slipstream {
namespace {

// "piece" count times, {} in it being the number, with commas between.
std::string many(uint32_t count, const std::string& before, const std::string& after) {
  std::string text;
  text.reserve(count * (before.size() + after.size() + 8));
  for (uint32_t i = 0; i < count; ++i) text += fmt::format("{}{}{}{}", i == 0 ? "" : ",", before, i, after);
  return text;
}

std::string lists(uint32_t count) {
  std::string text = "[[]";
  text.reserve(count * 3 + 3);
  for (uint32_t i = 1; i < count; ++i) text += ",[]";
  return text + "]";
}

void write_tokenizer(const std::string& folder, const std::string& vocab, const std::string& merges,
                     const std::string& more) {
  write_file(folder + "/tokenizer.json",
             fmt::format(R"({{"model":{{"type":"BPE","vocab":{{{}}},"merges":[{}]}}{}}})", vocab, merges, more));
}

Kinds many_tensors() {
  return {
      {"many-tensors",
       kPlain,
       [](auto& f) {
         write_weights(
             f, fmt::format("{{{}}}", many(400000, "\"", R"(":{"dtype":"F16","shape":[0],"data_offsets":[0,0]})")), "");
       },
       {"header: more than 300000 tensors"},
       false,
       true},
      {"many-tensors-in-the-index",
       kPlain,
       [](auto& f) {
         write_file(f + "/model.safetensors.index.json",
                    fmt::format("{{\"weight_map\":{{{}}}}}", many(400000, "\"", R"(":"a.safetensors")")));
       },
       {"weight_map has more than 300000 tensors"},
       false,
       true},
      {"many-shards",
       kPlain,
       [](auto& f) {
         write_file(f + "/model.safetensors.index.json",
                    fmt::format("{{\"weight_map\":{{{}}}}}", many(514, "\"", R"(":"a.safetensors")")));
         edit_json(f + "/model.safetensors.index.json", [](Json& json) {
           for (auto& [tensor, file] : json["weight_map"].items()) file = tensor + ".safetensors";
         });
       },
       {"names 514 files, expected at most 512"}},
  };
}

Kinds many_words() {
  return {
      {"many-tokens",
       kPlain,
       [](auto& f) {
         std::string vocab = "\"x\":0";
         for (uint32_t i = 1; i < 1100000; ++i) vocab += fmt::format(",\"{0}\":{0}", i);
         write_tokenizer(f, vocab, "", "");
       },
       {"tokenizer.json: not a tokenizer.json: more than 1048576 tokens"},
       true,
       true},
      {"many-merges",
       kPlain,
       [](auto& f) { write_tokenizer(f, R"("a":0,"b":1)", many(1100000, R"(["a","b)", "\"]"), ""); },
       {"tokenizer.json: not a tokenizer.json: more than 1048576 merges"},
       true,
       true},
      {"many-lists-in-the-tokenizer",
       kPlain,
       [](auto& f) { write_tokenizer(f, R"("a":0)", "", fmt::format(",\"decoder\":{}", lists(20000000))); },
       {"tokenizer.json: it takes too much memory"},
       true,
       true},
      {"many-lists-in-the-tokenizer-config",
       kPlain,
       [](auto& f) { write_file(f + "/tokenizer_config.json", fmt::format("{{\"a\":{}}}", lists(11000000))); },
       {"tokenizer_config.json: it takes too much memory"},
       true,
       true},
      {"many-lists-in-the-config",
       kPlain,
       [](auto& f) { write_file(f + "/config.json", fmt::format("{{\"a\":{}}}", lists(1300000))); },
       {"config.json: model_type is missing"},
       false,
       true},
      {"many-ends",
       kPlain,
       [](auto& f) {
         set_config(f, "vocab_size", "500000");
         set_config(f, "eos_token_id", fmt::format("[{}]", many(500000, "", "")).c_str());
       },
       {"eos_token_id has 500000 token ids, expected at most 256"},
       false,
       true},
  };
}

}  // namespace

Kinds wrong_sizes() {
  Kinds kinds = many_tensors();
  for (const HostileKind& kind : many_words()) kinds.push_back(kind);
  return kinds;
}

}  // namespace slipstream
