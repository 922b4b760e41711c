// The commands `logits` and `eval` as they are typed, on a tiny checkpoint.
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <cstring>

#include "app/commands.h"
#include "app/model_files.h"
#include "files/tensor_source.h"
#include "files/test_files.h"
#include "model/perplexity.h"

namespace slipstream {
namespace {

const std::string kModel = std::string(SLIPSTREAM_TEST_DATA) + "/oracle/qwen3-mlx-4bit-g64";

// The exit status, and what was printed.
struct Ran {
  int exit_status = -1;
  std::string out;
  std::string err;
};

Ran run(std::vector<std::string> words) {
  CLI::App program("test", "slipstream");
  Ran ran;
  add_logits_command(program, ran.exit_status);
  add_eval_command(program, ran.exit_status);
  std::reverse(words.begin(), words.end());  // as CLI11 wants them
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  try {
    program.parse(words);
  } catch (const CLI::ParseError& mistake) {
    ran.exit_status = 2;
    ran.err = mistake.what();
  }
  ran.out = testing::internal::GetCapturedStdout();
  ran.err += testing::internal::GetCapturedStderr();
  return ran;
}

class LogitsCommand : public testing::Test {
 protected:
  Ran logits(std::vector<std::string> options) {
    write_file(folder_.path("in.json"), "[[5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19], [300, 2], [4]]");
    std::vector<std::string> words{"logits", kModel, "--tokens", folder_.path("in.json"), "--out", out()};
    words.insert(words.end(), options.begin(), options.end());
    return run(words);
  }
  std::string out() const { return folder_.path("model.safetensors"); }

  const TempFolder folder_;
};

TEST_F(LogitsCommand, writes_a_row_of_logits_for_every_token) {
  const Ran ran = logits({});
  EXPECT_EQ(ran.exit_status, 0) << ran.err;
  const auto source = open_safetensors_folder(folder_.path());
  ASSERT_TRUE(source.ok()) << source.error().message;
  ASSERT_EQ(source->tensors().size(), 3u);
  EXPECT_EQ(source->find("logits.0")->shape, (std::vector<uint64_t>{15, 320}));
  EXPECT_EQ(source->find("logits.1")->shape, (std::vector<uint64_t>{2, 320}));
  EXPECT_EQ(source->find("logits.2")->shape, (std::vector<uint64_t>{1, 320}));
}

TEST_F(LogitsCommand, writes_the_same_bytes_however_they_are_computed_and_others_in_fp32) {
  EXPECT_EQ(logits({}).exit_status, 0);
  const std::string expected = read_file(out());
  const std::vector<std::vector<std::string>> ways{{"--chunk", "4"},
                                                   {"--together"},
                                                   {"--together", "--chunk", "3", "--block-size", "16"},
                                                   {"--isa", "reference", "--threads", "1"},
                                                   {"--threads", "3", "--block-size", "256"}};
  for (const auto& way : ways) {
    const Ran ran = logits(way);
    EXPECT_EQ(ran.exit_status, 0) << ran.err;
    EXPECT_TRUE(read_file(out()) == expected) << way[0];
  }
  EXPECT_EQ(logits({"--activations", "f32"}).exit_status, 0);
  EXPECT_FALSE(read_file(out()) == expected);
}

TEST_F(LogitsCommand, says_in_one_line_what_is_wrong) {
  const std::vector<std::pair<std::string, std::string>> wrong{
      {"[[1, 2], [3, 320]]", "prompt 1: token 1 is 320, expected a whole number below 320"},
      {"[[1, -2]]", "prompt 0: token 1 is -2"},
      {"[[1, 2.5]]", "prompt 0: token 1 is 2.5"},
      {"[[]]", "prompt 0: expected a list of token ids, not empty"},
      {"[]", "expected a list of lists"},
      {"{\"a\": 1}", "expected a list of lists"},
      {"[[1, 2]", "expected a list of lists"}};
  for (const auto& [json, message] : wrong) {
    write_file(folder_.path("wrong.json"), json);
    const Ran ran = run({"logits", kModel, "--tokens", folder_.path("wrong.json"), "--out", out()});
    EXPECT_EQ(ran.exit_status, 1) << json;
    EXPECT_NE(ran.err.find(message), std::string::npos) << ran.err;
    EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1) << ran.err;
  }
  EXPECT_EQ(run({"logits", kModel, "--out", out()}).exit_status, 2);
  EXPECT_EQ(logits({"--isa", "mmx"}).exit_status, 2);
  EXPECT_EQ(logits({"--block-size", "48"}).exit_status, 2);
  EXPECT_EQ(logits({"--chunk", "0"}).exit_status, 2);
}

TEST(EvalCommand, prints_the_perplexity_of_a_text) {
  const TempFolder folder;
  std::string text;
  for (int line = 0; line < 20; ++line) text += "the quick brown fox " + std::to_string(line * 77) + "\n";
  write_file(folder.path("text"), text);
  const Ran ran = run({"eval", "perplexity", kModel, folder.path("text"), "--window", "64"});
  EXPECT_EQ(ran.exit_status, 0) << ran.err;

  ThreadPool pool(1);
  const auto model = load_model(open_model_files({kModel, "", {}}).value(), pool, {});
  ASSERT_TRUE(model.ok()) << model.error().message;
  const auto tokens = model->text.tokenizer.encode(text, false);
  ASSERT_TRUE(tokens.ok());
  const auto expected = measure_perplexity(model->config, model->weights, pool, {}, tokens.value(), 64);
  ASSERT_TRUE(expected.ok());
  const std::string line = fmt::format("perplexity {:.5f} of {} tokens", expected->perplexity, expected->num_tokens);
  EXPECT_NE(ran.out.find(line), std::string::npos) << ran.out;
}

TEST(EvalCommand, says_in_one_line_what_is_wrong) {
  const TempFolder folder;
  write_file(folder.path("short"), "");
  const Ran empty = run({"eval", "perplexity", kModel, folder.path("short")});
  EXPECT_EQ(empty.exit_status, 1);
  EXPECT_NE(empty.err.find("perplexity needs two"), std::string::npos) << empty.err;
  EXPECT_EQ(run({"eval", "perplexity", kModel, folder.path("nothing")}).exit_status, 1);
  EXPECT_EQ(run({"eval", "perplexity", kModel, folder.path("short"), "--window", "100000"}).exit_status, 1);
  EXPECT_EQ(run({"eval"}).exit_status, 2);
}

}  // namespace
}  // namespace slipstream
