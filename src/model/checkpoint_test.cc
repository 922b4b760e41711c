#include "model/checkpoint.h"

#include <gtest/gtest.h>

#include "files/test_files.h"

namespace slipstream {
namespace {

TEST(Checkpoint, its_name_is_the_folders_or_the_files) {
  EXPECT_EQ(model_display_name("/models/Qwen3-0.6B"), "Qwen3-0.6B");
  EXPECT_EQ(model_display_name("/models/Qwen3-0.6B/"), "Qwen3-0.6B");
  EXPECT_EQ(model_display_name("/models/x/../Qwen3-0.6B/."), "Qwen3-0.6B");
  EXPECT_EQ(model_display_name("SmolLM2-135M-Instruct.Q4_1.gguf"), "SmolLM2-135M-Instruct.Q4_1");
  EXPECT_EQ(model_display_name("/x/Qwen3-30B-A3B-Q4_0-00001-of-00003.gguf"), "Qwen3-30B-A3B-Q4_0");
  EXPECT_EQ(model_display_name("x-00001-of-3.gguf"), "x-00001-of-3");
}

TEST(Checkpoint, what_is_neither_a_folder_nor_a_gguf_file_is_refused_in_words) {
  const TempFolder folder;
  write_file(folder.path("model.bin"), "x");
  for (const std::string& path : {folder.path("nothing"), folder.path("model.bin")}) {
    const auto checkpoint = open_checkpoint(path);
    ASSERT_FALSE(checkpoint.ok());
    const std::string& message = checkpoint.error().message;
    EXPECT_NE(message.find(path), std::string::npos) << message;
    EXPECT_NE(message.find(".gguf"), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
}

TEST(Checkpoint, a_folder_gives_config_and_tensors_and_errors_begin_with_its_path) {
  const std::string path = std::string(SLIPSTREAM_TEST_DATA) + "/oracle/qwen3-mlx-4bit-g64";
  const auto checkpoint = open_checkpoint(path);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  EXPECT_EQ(checkpoint->config.family, "qwen3");
  EXPECT_EQ(checkpoint->names, TensorNames::kHuggingFace);
  EXPECT_EQ(checkpoint->display_name(), "qwen3-mlx-4bit-g64");

  const TempFolder empty;
  const auto nothing = open_checkpoint(empty.path());
  ASSERT_FALSE(nothing.ok());
  EXPECT_TRUE(nothing.error().message.starts_with(empty.path() + ": ")) << nothing.error().message;
}

}  // namespace
}  // namespace slipstream
