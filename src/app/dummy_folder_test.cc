#include "app/dummy_folder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "app/model_files.h"
#include "files/test_files.h"
#include "model/dummy_tensors.h"
#include "model/small_shape.h"

namespace slipstream {
namespace {

// "layers.10" comes before "layers.2" in order of names.
DummyShape small(const DummyShape& of) { return small_shape(of, 11, 4000); }

// Everything but the paths, which come in two orders.
void expect_same_config(const ModelConfig& a, const ModelConfig& b) {
  EXPECT_EQ(a.family, b.family);
  EXPECT_EQ(a.num_layers, b.num_layers);
  EXPECT_EQ(a.hidden_size, b.hidden_size);
  EXPECT_EQ(a.intermediate_size, b.intermediate_size);
  EXPECT_EQ(a.num_heads, b.num_heads);
  EXPECT_EQ(a.num_kv_heads, b.num_kv_heads);
  EXPECT_EQ(a.head_dim, b.head_dim);
  EXPECT_EQ(a.vocab_size, b.vocab_size);
  EXPECT_EQ(a.max_position_embeddings, b.max_position_embeddings);
  EXPECT_EQ(a.rms_norm_eps, b.rms_norm_eps);
  EXPECT_EQ(a.rope_theta, b.rope_theta);
  EXPECT_EQ(a.rope_scaling, b.rope_scaling);
  EXPECT_EQ(a.tied_embeddings, b.tied_embeddings);
  EXPECT_EQ(a.qk_norm, b.qk_norm);
  EXPECT_EQ(a.qkv_bias, b.qkv_bias);
  EXPECT_EQ(a.num_experts, b.num_experts);
  EXPECT_EQ(a.experts_per_token, b.experts_per_token);
  EXPECT_EQ(a.expert_size, b.expert_size);
  EXPECT_EQ(a.renormalise_experts, b.renormalise_experts);
  EXPECT_EQ(a.sparse_step, b.sparse_step);
  EXPECT_EQ(a.dense_layers, b.dense_layers);
  EXPECT_EQ(a.eos_tokens, b.eos_tokens);
  EXPECT_EQ(a.bos_token, b.bos_token);
  EXPECT_EQ(a.has_bos_token, b.has_bos_token);
  EXPECT_EQ(a.quantised_bits, b.quantised_bits);
  EXPECT_EQ(a.quantised_group, b.quantised_group);
  ASSERT_EQ(a.quantised_paths.size(), b.quantised_paths.size());
  for (size_t i = 0; i < a.quantised_paths.size(); ++i) {
    EXPECT_EQ(a.quantised_paths[i].path, b.quantised_paths[i].path);
    EXPECT_EQ(a.quantised_paths[i].bits, b.quantised_paths[i].bits);
    EXPECT_EQ(a.quantised_paths[i].group, b.quantised_paths[i].group);
  }
}

TEST(DummyFolder, is_read_back_as_the_dummy_in_memory) {
  ThreadPool pool(2);
  for (const DummyShape& shape : dummy_shapes()) {
    const TempFolder folder;
    const DummyName name{small(shape), 9};
    const std::string path = folder.path(shape.name);
    const Status written = write_dummy_folder({name, path, ""}, pool, {});
    ASSERT_TRUE(written.ok()) << written.error().message;
    auto read = open_checkpoint(path);
    ASSERT_TRUE(read.ok()) << read.error().message;
    auto made = open_dummy(name);
    ASSERT_TRUE(made.ok()) << made.error().message;
    ASSERT_TRUE(open_model_text(*read).ok());
    ASSERT_TRUE(open_model_text(*made).ok());
    EXPECT_EQ(read->display_name(), made->display_name());
    expect_same_config(read->config, made->config);
    ASSERT_EQ(read->tensors.tensors().size(), made->tensors.tensors().size());
    for (const Tensor& tensor : read->tensors.tensors()) {
      const Tensor* twin = made->tensors.find(tensor.name);
      ASSERT_NE(twin, nullptr) << tensor.name;
      EXPECT_EQ(tensor.shape, twin->shape) << tensor.name;
      made->tensors.need(twin->bytes);
      EXPECT_EQ(std::memcmp(tensor.bytes.data(), twin->bytes.data(), tensor.bytes.size()), 0) << tensor.name;
    }
  }
}

TEST(DummyFolder, its_byte_tokenizer_gives_text_back_and_every_id_has_a_text) {
  auto checkpoint = open_dummy({small(dummy_shapes()[0]), 0});
  ASSERT_TRUE(checkpoint.ok());
  const auto text = open_model_text(*checkpoint);
  ASSERT_TRUE(text.ok()) << text.error().message;
  EXPECT_EQ(text->tokenizer.vocab_size(), 4000u);
  EXPECT_EQ(checkpoint->config.eos_tokens, (std::vector<TokenId>{kDummyEosToken}));
  const std::string words = "Hä? \n\t\x01 \xf0\x9f\x98\x80 <|im_end|>";
  const auto tokens = text->tokenizer.encode(words, false);
  ASSERT_TRUE(tokens.ok());
  EXPECT_EQ(tokens->size(), words.size());  // a token a byte, and no control token in plain text
  EXPECT_EQ(*text->tokenizer.decode(*tokens, true), words);
  for (TokenId token = 259; token < 4000; ++token) ASSERT_EQ(text->tokenizer.table().token(token).size(), 5u);
  EXPECT_TRUE(text->tokenizer.table().is_special(kDummyEosToken));
  EXPECT_TRUE(text->chat_template.has_value());
}

TEST(DummyFolder, what_is_wrong_is_said_before_anything_is_written) {
  ThreadPool pool(1);
  const TempFolder folder;
  const DummyName name{small(dummy_shapes()[0]), 0};
  const auto error_of = [&](const std::string& path, const std::string& tokenizer) {
    const Status status = write_dummy_folder({name, path, tokenizer}, pool, {});
    return status.ok() ? std::string() : status.error().message;
  };
  std::filesystem::create_directory(folder.path("full"));
  write_file(folder.path("full/note"), "mine");
  EXPECT_NE(error_of(folder.path("full"), "").find("not empty"), std::string::npos);
  EXPECT_EQ(read_file(folder.path("full/note")), "mine");
  EXPECT_NE(error_of(folder.path("full/note"), "").find("no folder"), std::string::npos);
  EXPECT_NE(error_of(folder.path("new"), folder.path("full")).find("tokenizer.json"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(folder.path("new")));
  EXPECT_NE(error_of("/proc/new", ""), "");

  DummyName huge = name;  // more than any disk has
  huge.shape.vocab_size = 2'000'000'000;
  huge.shape.hidden_size = 65536;
  const Status status = write_dummy_folder({huge, folder.path("huge"), ""}, pool, {});
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("are free"), std::string::npos) << status.error().message;
  EXPECT_FALSE(std::filesystem::exists(folder.path("huge")));
}

TEST(DummyFolder, a_tokenizer_is_copied_with_what_belongs_to_it) {
  ThreadPool pool(1);
  const TempFolder folder;
  const std::string from = std::string(SLIPSTREAM_TEST_DATA) + "/oracle/llama-untied-bf16";
  DummyName name{small(dummy_shapes()[2]), 0};
  name.shape.bos_token_id = 1;
  name.shape.eos_token_id = {2, 3, 0};
  const Status status = write_dummy_folder({name, folder.path("model"), from}, pool, {});
  ASSERT_TRUE(status.ok()) << status.error().message;
  EXPECT_EQ(read_file(folder.path("model/tokenizer.json")), read_file(from + "/tokenizer.json"));
  auto checkpoint = open_checkpoint(folder.path("model"));
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  EXPECT_EQ(checkpoint->config.eos_tokens, (std::vector<TokenId>{2, 3}));
  EXPECT_TRUE(open_model_text(*checkpoint).ok());
}

}  // namespace
}  // namespace slipstream
