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
  ASSERT_TRUE(file_.remember("a", {{4, 2048}, {1, 0}}).ok());
  ASSERT_TRUE(file_.remember("b", {{1, 0}, {1, 0}}).ok());
  ASSERT_TRUE(file_.remember("a", {{2, 1024}, {4, 8192}}).ok());
  EXPECT_EQ(file_.find("a"), (StreamTunings{{2, 1024}, {4, 8192}}));
  EXPECT_EQ(file_.find("b"), (StreamTunings{{1, 0}, {1, 0}}));
  EXPECT_EQ(file_.find("c"), std::nullopt);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1) << "only the file itself is left";
}

TEST_F(Tuning, a_file_that_is_wrong_remembers_nothing_and_is_replaced) {
  for (const char* text : {"", "{", "[]", "7", R"({"a": 1})", R"({"a": {}})", R"({"a": {"8 bits": {}}})"}) {
    write(text);
    EXPECT_EQ(file_.find("a"), std::nullopt) << text;
  }
  for (const char* tuning : {"1", R"({"streams": 4})", R"({"streams": 3, "prefetch_bytes": 1024})",
                             R"({"streams": 4, "prefetch_bytes": 1025})", R"({"streams": -4, "prefetch_bytes": 1024})",
                             R"({"streams": "4", "prefetch_bytes": 1024})",
                             R"({"streams": 4294967300, "prefetch_bytes": 1024})"}) {
    write(R"({"a": {"4 bits": {"streams": 4, "prefetch_bytes": 1024}, "8 bits": )" + std::string(tuning) + "}}");
    EXPECT_EQ(file_.find("a"), std::nullopt) << tuning;
  }
  ASSERT_TRUE(file_.remember("a", {{4, 1024}, {1, 0}}).ok());
  EXPECT_EQ(file_.find("a"), (StreamTunings{{4, 1024}, {1, 0}}));
}

TEST_F(Tuning, a_folder_that_cannot_be_written_is_an_error) {
  write("");
  const TuningFile below_a_file(path() + "/more/tuning.json");
  EXPECT_FALSE(below_a_file.remember("a", {}).ok());
}

TEST_F(Tuning, the_default_gives_way_to_what_is_clearly_better) {
  const StreamTuning usual, other{4, 1024};
  EXPECT_EQ(best_of(std::vector<TunedStream>()), usual);
  EXPECT_EQ(best_of(std::vector<TunedStream>{{usual, 10}, {other, 10.4}}), usual);
  EXPECT_EQ(best_of(std::vector<TunedStream>{{usual, 10}, {other, 10.6}}), other);
  EXPECT_EQ(best_of(std::vector<TunedStream>{{other, 10}}), other);
}

TEST_F(Tuning, measuring_tries_each_candidate_and_leaves_the_tuning_in_force) {
  ThreadPool pool(2);
  Arena memory = Arena::make(40 << 20).value();
  std::ranges::fill(memory.as<uint32_t>(), 0x3f123456u);
  const StreamTunings before = stream_tunings();
  const TunedStreams measured = measure_streams(pool, best_isa(), {memory.data(), memory.size()});
  EXPECT_EQ(stream_tunings(), before);
  for (const auto* of_bits : {&measured.of_4_bits, &measured.of_8_bits}) {
    EXPECT_EQ(of_bits->size(), 18u);
    const auto is_usual = [](const TunedStream& one) { return one.tuning == StreamTuning(); };
    EXPECT_EQ(std::count_if(of_bits->begin(), of_bits->end(), is_usual), 1);
    for (const TunedStream& one : *of_bits) EXPECT_GT(one.gb_s, 0);
  }
}

TEST_F(Tuning, a_machine_is_its_processor_its_instructions_and_its_threads) {
  EXPECT_NE(machine_name(Isa::kAvx2, 2), machine_name(Isa::kAvx2, 3));
  EXPECT_NE(machine_name(Isa::kAvx2, 2), machine_name(Isa::kReference, 2));
  EXPECT_EQ(machine_name(Isa::kAvx2, 2).find('?'), std::string::npos);
}

}  // namespace
}  // namespace slipstream
