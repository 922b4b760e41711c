// A model in several files.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "files/gguf.h"
#include "files/test_files.h"

namespace slipstream {
namespace {

// Three parts with two tensors each; a test changes one.
class SplitFiles {
 public:
  SplitFiles() {
    for (uint16_t part = 0; part < 3; ++part) {
      if (part == 0) parts[0].string("general.architecture", "llama");
      parts[part].split(part, 3, 6);
      for (const char* name : {"a", "b"})
        parts[part].tensor(fmt::format("{}{}", name, part), GgufBuilder::kF32, {1}, std::string(4, name[0]));
    }
  }

  static std::string name(uint16_t part) { return fmt::format("x-0000{}-of-00003.gguf", part + 1); }

  Result<GgufFile> open(uint16_t opened = 0) const {
    for (uint16_t part = 0; part < 3; ++part) {
      if (part != left_out) write_file(folder_.path(name(part)), parts[part].bytes());
    }
    return open_gguf(folder_.path(name(opened)));
  }
  Result<GgufFile> open_as(const std::string& other_name) const {
    write_file(folder_.path(other_name), parts[0].bytes());
    return open_gguf(folder_.path(other_name));
  }

  // Its metadata anew: without what the constructor wrote.
  GgufBuilder& rewrite(uint16_t part) { return parts[part] = GgufBuilder(); }

  GgufBuilder parts[3];
  int left_out = -1;

 private:
  TempFolder folder_;
};

void expect_error(const Result<GgufFile>& file, const std::vector<std::string>& fragments) {
  ASSERT_FALSE(file.ok()) << fragments.front();
  const std::string& message = file.error().message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  for (const std::string& fragment : fragments)
    EXPECT_NE(message.find(fragment), std::string::npos) << message << "\nlacks: " << fragment;
}

TEST(GgufSplit, the_first_part_opens_all) {
  const SplitFiles files;
  const auto file = files.open();
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->tensors.tensors().size(), 6u);
  for (const char* name : {"a0", "b0", "a1", "b1", "a2", "b2"}) {
    const Tensor* tensor = file->tensors.find(name);
    ASSERT_NE(tensor, nullptr) << name;
    EXPECT_EQ(static_cast<char>(tensor->bytes[0]), name[0]);
    EXPECT_EQ(tensor->file, SplitFiles::name(static_cast<uint16_t>(name[1] - '0')));
    file->tensors.release(tensor->bytes);
  }
  EXPECT_EQ(file->metadata.get_string("general.architecture").value(), "llama");
}

TEST(GgufSplit, a_first_part_without_tensors_is_no_mistake) {
  SplitFiles files;
  GgufBuilder& first = files.rewrite(0);
  first.split(0, 3, 4);
  for (uint16_t part = 1; part < 3; ++part) {
    GgufBuilder& other = files.rewrite(part);
    other.split(part, 3, 4);
    other.tensor(fmt::format("a{}", part), GgufBuilder::kF32, {1}, "1234");
    other.tensor(fmt::format("b{}", part), GgufBuilder::kF32, {1}, "1234");
  }
  const auto file = files.open();
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->tensors.tensors().size(), 4u);
}

// gguf-split --merge leaves a count of 0.
TEST(GgufSplit, parts_put_together_again_are_a_whole) {
  for (const uint16_t num_parts : {uint16_t{0}, uint16_t{1}}) {
    SplitFiles files;
    GgufBuilder& whole = files.rewrite(0);
    whole.split(0, num_parts, 1);
    whole.tensor("a", GgufBuilder::kF32, {1}, "1234");
    EXPECT_TRUE(files.open_as("whole.gguf").ok());
  }
}

TEST(GgufSplit, another_part_than_the_first_names_the_first) {
  const SplitFiles files;
  expect_error(files.open(1), {"x-00002-of-00003.gguf: is part 2 of 3; open x-00001-of-00003.gguf instead"});
  expect_error(files.open(2), {"is part 3 of 3; open x-00001-of-00003.gguf instead"});
}

TEST(GgufSplit, a_missing_part_is_named) {
  for (const int part : {1, 2}) {
    SplitFiles files;
    files.left_out = part;
    const std::string name = SplitFiles::name(static_cast<uint16_t>(part));
    expect_error(files.open(), {"x-00001-of-00003.gguf: is part 1 of 3: ", name, "No such file"});
  }
}

TEST(GgufSplit, a_first_part_of_another_name_cannot_find_the_others) {
  const SplitFiles files;
  expect_error(files.open_as("x.gguf"), {"x.gguf: is part 1 of 3, but its name does not end in -00001-of-00003.gguf"});
  expect_error(files.open_as("x-00001-of-00004.gguf"), {"does not end in -00001-of-00003.gguf"});
}

TEST(GgufSplit, counts_that_cannot_be_are_refused_before_anything_else_is_opened) {
  const auto with = [](uint32_t type, std::string_view no, std::string_view count, std::string_view tensors) {
    SplitFiles files;
    GgufBuilder& first = files.rewrite(0);
    first.key("split.no", type, no);
    first.key("split.count", type, count);
    if (!tensors.empty()) first.key("split.tensors.count", type, tensors);
    return files.open();
  };
  const auto wide = [](uint64_t value) { return bytes_of(value); };
  expect_error(with(10, wide(0), wide(1ull << 32), ""), {"split.count is 4294967296, expected at most 512"});
  expect_error(with(10, wide(0), wide(~0ull), ""), {"split.count is 18446744073709551615"});
  expect_error(with(10, wide(0), wide(513), ""), {"split.count is 513"});
  expect_error(with(10, wide(1ull << 32), wide(3), ""), {"split.no is 4294967296, expected below split.count 3"});
  expect_error(with(10, wide(3), wide(3), ""), {"split.no is 3"});
  expect_error(with(11, wide(0), wide(3), wide(~0ull)), {"'split.tensors.count' is not a whole number from 0 on"});
  expect_error(with(11, wide(~0ull), wide(3), ""), {"'split.no' is not a whole number from 0 on"});
  expect_error(with(8, GgufBuilder::text("0"), GgufBuilder::text("3"), ""), {"'split.count' is not a whole number"});
  SplitFiles nameless;
  nameless.rewrite(0).key("split.count", 2, bytes_of<uint16_t>(3));
  expect_error(nameless.open(), {"'split.no' is missing"});
}

TEST(GgufSplit, parts_that_disagree_are_refused) {
  const auto with_part = [](auto write) {
    SplitFiles files;
    GgufBuilder& part = files.rewrite(1);
    write(part);
    part.tensor("a1", GgufBuilder::kF32, {1}, "1234");
    part.tensor("b1", GgufBuilder::kF32, {1}, "1234");
    return files.open();
  };
  const std::string part = "x-00001-of-00003.gguf: its part x-00002-of-00003.gguf: ";
  expect_error(with_part([](GgufBuilder& b) { b.split(1, 4, 6); }), {part + "says it is part 2 of 4, expected part 2"});
  expect_error(with_part([](GgufBuilder& b) { b.split(2, 3, 6); }), {part + "says it is part 3 of 3, expected part 2"});
  expect_error(with_part([](GgufBuilder& b) { b.split(0, 3, 6); }), {part + "says it is part 1 of 3"});
  expect_error(with_part([](GgufBuilder&) {}), {part + "says it is part 1 of 1, expected part 2 of 3"});
  expect_error(with_part([](GgufBuilder& b) { b.split(1, 3, 7); }), {part + "split.tensors.count", "another model"});
  expect_error(with_part([](GgufBuilder& b) {
                 b.split(1, 3, 6);
                 b.string("general.architecture", "qwen2");
               }),
               {part + "metadata key 'general.architecture'", "another model"});
  EXPECT_TRUE(with_part([](GgufBuilder& b) {
                b.split(1, 3, 6);
                b.string("general.architecture", "llama");
                b.u32("general.alignment", 32);
              }).ok());
}

TEST(GgufSplit, tensors_too_many_too_few_or_twice_are_refused) {
  SplitFiles more;
  more.parts[2].tensor("c2", GgufBuilder::kF32, {1}, "1234");
  expect_error(more.open(), {"x-00001-of-00003.gguf", "have 7 tensors together, expected 6"});
  SplitFiles twice;
  GgufBuilder& part = twice.rewrite(2);
  part.split(2, 3, 6);
  part.tensor("b1", GgufBuilder::kF32, {1}, "1234");
  part.tensor("b2", GgufBuilder::kF32, {1}, "1234");
  expect_error(twice.open(), {"tensor 'b1' is in x-0000", "and again in x-0000"});
  SplitFiles broken;
  broken.parts[1].more_tensors = 1ull << 40;
  expect_error(broken.open(), {"is part 1 of 3: x-00002-of-00003.gguf: says it has 1099511627778 tensors"});
}

TEST(GgufSplit, flipped_bytes_of_any_part_are_read_or_refused_in_one_line) {
  constexpr uint64_t kSeed = 5;
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  std::mt19937_64 random(kSeed);
  const SplitFiles files;
  const TempFolder folder;
  int refused = 0;
  for (int world = 0; world < 600; ++world) {
    for (uint16_t part = 0; part < 3; ++part) {
      std::string bytes = files.parts[part].bytes();
      if (part == world % 3) bytes[random() % files.parts[part].front().size()] = static_cast<char>(random());
      const std::string path = folder.path(SplitFiles::name(part));
      std::filesystem::remove(path);
      write_file(path, bytes);
    }
    const auto file = open_gguf(folder.path(SplitFiles::name(0)));
    if (file.ok()) continue;
    ++refused;
    ASSERT_EQ(file.error().message.find('\n'), std::string::npos) << "world " << world << ": " << file.error().message;
  }
  EXPECT_GT(refused, 200);
}

}  // namespace
}  // namespace slipstream
