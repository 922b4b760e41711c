// The same through the program: `slipstream logits` and `slipstream serve` on a wrong checkpoint end with exit status
// 1 and one line on standard error, within 2 s of processor time and 1 GiB of address space.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/clock.h"
#include "files/test_files.h"
#include "hostile/hostile_checkpoints.h"

namespace slipstream {
namespace {

// A wrong file is refused in milliseconds. On the clock a busy machine may be slow; a sanitizer is slow by itself and
// takes address space without end.
constexpr double kMostSeconds = 60.0;
constexpr double kMostProcessorSeconds = 2.0;
constexpr uint64_t kAddressSpaceKiB = uint64_t{1} << 20;
constexpr uint64_t kMostBytes = uint64_t{150} << 20;
constexpr uint64_t kMostBytesLarge = uint64_t{1} << 30;

struct Ended {
  int exit_status = -1;  // -1: by a signal
  bool in_time = true;
  double processor_s = 0;
  uint64_t peak_bytes = 0;
  std::string output;
  std::string errors;
};

class Program : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(SLIPSTREAM_PROGRAM)) GTEST_SKIP() << "SKIPPED: the program is not part of this build";
    write_file(folder_.path("tokens.json"), "[[5,6,7]]");
  }

  Ended run(std::vector<std::string> arguments) {
    const bool sanitized = sanitizer_bytes() != 0;
    const std::string limit = sanitized ? "" : "ulimit -v " + std::to_string(kAddressSpaceKiB) + " && ";
    // With two threads: each takes 8 MiB of address space for its stack, and malloc 64.
    arguments.insert(arguments.begin(),
                     {"/bin/sh", "-c", limit + "exec \"$0\" \"$@\" --threads 2", SLIPSTREAM_PROGRAM});
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, folder_.path("out").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_addopen(&actions, 2, folder_.path("err").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    pid_t child = 0;
    CHECK(posix_spawn(&child, argv.front(), &actions, nullptr, argv.data(), environ) == 0, "{}", SLIPSTREAM_PROGRAM);
    posix_spawn_file_actions_destroy(&actions);
    Ended ended = wait_for(child);
    ended.output = read_file(folder_.path("out"));
    ended.errors = read_file(folder_.path("err"));
    return ended;
  }

  static Ended wait_for(pid_t child) {
    Ended ended;
    const Clock clock = Clock::real();
    const double begin = clock.now_s();
    int status = 0;
    rusage usage{};
    while (wait4(child, &status, WNOHANG, &usage) == 0) {
      usleep(2000);
      if (clock.now_s() - begin < kMostSeconds) continue;
      ended.in_time = false;
      kill(child, SIGKILL);
      wait4(child, &status, 0, &usage);
      break;
    }
    ended.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    const auto seconds = [](const timeval& time) {
      return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
    };
    ended.processor_s = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    ended.peak_bytes = static_cast<uint64_t>(usage.ru_maxrss) * 1024;
    return ended;
  }

  std::vector<std::string> logits_command(const std::string& model) const {
    return {"logits", model, "--tokens", folder_.path("tokens.json"), "--out", folder_.path("out.safetensors")};
  }
  static std::vector<std::string> serve_command(const std::string& model) { return {"serve", model, "--port", "0"}; }

  void expect_logits_refused(const HostileKind& kind) {
    SCOPED_TRACE(kind.name);
    const std::string path = folder_.path(kind.name);
    make_hostile(kind, path);
    expect_refusal(run(logits_command(model_path(kind, path))), kind.fragments,
                   kind.large ? kMostBytesLarge : kMostBytes);
    EXPECT_FALSE(std::filesystem::exists(folder_.path("out.safetensors")));
    std::filesystem::remove_all(path);
  }

  static void expect_refusal(const Ended& ended, const std::vector<std::string>& fragments,
                             uint64_t most_bytes = kMostBytes) {
    EXPECT_TRUE(ended.in_time);
    EXPECT_EQ(ended.exit_status, 1) << ended.errors;
    EXPECT_EQ(std::count(ended.errors.begin(), ended.errors.end(), '\n'), 1) << ended.errors;
    EXPECT_TRUE(ended.errors.ends_with('\n')) << ended.errors;
    for (const std::string& fragment : fragments)
      EXPECT_NE(ended.errors.find(fragment), std::string::npos) << ended.errors << "\nlacks: " << fragment;
    EXPECT_LT(ended.processor_s, sanitizer_bytes() == 0 ? kMostProcessorSeconds : 10 * kMostProcessorSeconds);
    EXPECT_LT(ended.peak_bytes, most_bytes + sanitizer_bytes());
  }

  TempFolder folder_;
};

TEST_F(Program, gives_logits_of_a_good_checkpoint) {
  const Ended ended = run(logits_command(std::string(SLIPSTREAM_TEST_DATA) + "/oracle/qwen3-fp16"));
  EXPECT_EQ(ended.exit_status, 0) << ended.errors;
  EXPECT_EQ(ended.errors, "");
  EXPECT_TRUE(std::filesystem::exists(folder_.path("out.safetensors")));
}

TEST_F(Program, logits_of_every_wrong_checkpoint_ends_with_one_line_and_status_1) {
  for (const HostileKind& kind : hostile_kinds()) {
    if (!kind.large) expect_logits_refused(kind);
  }
}

TEST_F(Program, serve_of_every_wrong_checkpoint_ends_with_one_line_and_status_1) {
  const size_t step = sanitizer_bytes() == 0 ? 1 : 4;  // a start takes longest there, and logits has seen them all
  for (size_t i = 0; i < hostile_kinds().size(); i += step) {
    const HostileKind& kind = hostile_kinds()[i];
    if (kind.large) continue;  // as below, only slower
    SCOPED_TRACE(kind.name);
    const std::string path = folder_.path(kind.name);
    make_hostile(kind, path);
    const Ended ended = run(serve_command(model_path(kind, path)));
    expect_refusal(ended, kind.fragments, kMostBytes);
    EXPECT_EQ(ended.output, "") << "nothing is announced before the model is in";
    std::filesystem::remove_all(path);
  }
}

TEST_F(Program, a_model_that_is_not_there_is_named) {
  expect_refusal(run(logits_command("/nonexistent/model")), {"'/nonexistent/model' is neither a folder nor a file"});
  write_file(folder_.path("x.gguf"), "GGUF");
  expect_refusal(run(logits_command(folder_.path("x.gguf"))), {"x.gguf", "cut off in its first 24 bytes"});
  write_file(folder_.path("x.gguf"), "");
  expect_refusal(run(logits_command(folder_.path("x.gguf"))), {"x.gguf' is empty"});
}

// Last: making them is a peak of this process, which a child's counts from.
TEST_F(Program, logits_of_large_wrong_checkpoints_ends_with_one_line_and_status_1) {
  for (const HostileKind& kind : hostile_kinds()) {
    if (kind.large) expect_logits_refused(kind);
  }
}

}  // namespace
}  // namespace slipstream
