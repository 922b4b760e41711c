#include "app/tuning.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "base/memory.h"

namespace slipstream {
namespace {

class Tuning : public testing::Test {
 protected:
  Tuning()
      : folder_(testing::TempDir() + "tuning_" + std::to_string(::getpid()) +
                testing::UnitTest::GetInstance()->current_test_info()->name()) {
    std::filesystem::remove_all(folder_);
  }
  ~Tuning() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& text) const {
    std::filesystem::create_directories(folder_);
    std::ofstream(path()) << text;
  }
  std::string path() const { return folder_ + "/tuning.json"; }

  const std::string folder_;
  const TuningFile file_{path()};
};

TEST_F(Tuning, is_remembered_for_its_machine_alone) {
  EXPECT_EQ(file_.find("a"), std::nullopt);
  ASSERT_TRUE(file_.remember("a", {4, 2048}).ok());
  ASSERT_TRUE(file_.remember("b", {1, 0}).ok());
  ASSERT_TRUE(file_.remember("a", {2, 1024}).ok());
  EXPECT_EQ(file_.find("a"), (StreamTuning{2, 1024}));
  EXPECT_EQ(file_.find("b"), (StreamTuning{1, 0}));
  EXPECT_EQ(file_.find("c"), std::nullopt);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1) << "only the file itself is left";
}

TEST_F(Tuning, a_file_that_is_wrong_remembers_nothing_and_is_replaced) {
  for (const char* text : {"", "{", "[]", "7", R"({"a": 1})", R"({"a": {}})", R"({"a": {"streams": 4}})",
                           R"({"a": {"streams": 3, "prefetch_bytes": 1024}})",
                           R"({"a": {"streams": 4, "prefetch_bytes": 1025}})",
                           R"({"a": {"streams": -4, "prefetch_bytes": 1024}})",
                           R"({"a": {"streams": "4", "prefetch_bytes": 1024}})",
                           R"({"a": {"streams": 4294967300, "prefetch_bytes": 1024}})"}) {
    write(text);
    EXPECT_EQ(file_.find("a"), std::nullopt) << text;
  }
  ASSERT_TRUE(file_.remember("a", {4, 1024}).ok());
  EXPECT_EQ(file_.find("a"), (StreamTuning{4, 1024}));
}

TEST_F(Tuning, a_folder_that_cannot_be_written_is_an_error) {
  write("");
  const TuningFile below_a_file(path() + "/more/tuning.json");
  EXPECT_FALSE(below_a_file.remember("a", {}).ok());
}

TEST_F(Tuning, the_default_gives_way_to_what_is_clearly_better) {
  const StreamTuning usual, other{4, 1024};
  EXPECT_EQ(best_of({}), usual);
  EXPECT_EQ(best_of(std::vector<TunedStream>{{usual, 10, 10}, {other, 10.2, 10.2}}), usual);
  EXPECT_EQ(best_of(std::vector<TunedStream>{{usual, 10, 10}, {other, 9, 12}}), other);
  EXPECT_EQ(best_of(std::vector<TunedStream>{{other, 10, 10}}), other);
}

TEST_F(Tuning, measuring_tries_each_candidate_and_leaves_the_tuning_in_force) {
  ThreadPool pool(2);
  Arena memory = Arena::make(40 << 20).value();
  std::ranges::fill(memory.as<uint32_t>(), 0x3f123456u);
  const StreamTuning before = stream_tuning();
  const std::vector<TunedStream> measured =
      measure_streams(pool, best_isa(), {memory.data(), memory.size()});
  EXPECT_EQ(stream_tuning(), before);
  EXPECT_EQ(measured.size(), 18u);
  EXPECT_EQ(std::ranges::count(measured, StreamTuning(), &TunedStream::tuning), 1);
  for (const TunedStream& one : measured) EXPECT_GT(std::min(one.gb_s_4_bits, one.gb_s_8_bits), 0);
}

TEST_F(Tuning, a_machine_is_its_processor_its_instructions_and_its_threads) {
  EXPECT_NE(machine_name(Isa::kAvx2, 2), machine_name(Isa::kAvx2, 3));
  EXPECT_NE(machine_name(Isa::kAvx2, 2), machine_name(Isa::kReference, 2));
  EXPECT_EQ(machine_name(Isa::kAvx2, 2).find('?'), std::string::npos);
}

}  // namespace
}  // namespace slipstream
