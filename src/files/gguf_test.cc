#include "files/gguf.h"

#include <gtest/gtest.h>

#include <random>

#include "base/memory.h"
#include "files/test_files.h"

namespace slipstream {
namespace {

Result<GgufFile> open_bytes(std::string_view bytes) {
  static const TempFolder folder;
  std::filesystem::remove(folder.path("x.gguf"));  // a new file: an earlier one may still be mapped
  write_file(folder.path("x.gguf"), bytes);
  return open_gguf(folder.path("x.gguf"));
}

void expect_error(std::string_view bytes, const std::vector<std::string>& fragments) {
  const auto file = open_bytes(bytes);
  ASSERT_FALSE(file.ok());
  const std::string& message = file.error().message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  for (const std::string& fragment : fragments)
    EXPECT_NE(message.find(fragment), std::string::npos) << message << "\nlacks: " << fragment;
}

// One of each kind of value and of each type of tensor.
GgufBuilder good() {
  GgufBuilder builder;
  builder.string("general.architecture", "llama");
  builder.u32("u32", 7);
  builder.f32("f32", 0.5f);
  builder.key("i8", 1, bytes_of<int8_t>(-3));
  builder.key("u64", 10, bytes_of<uint64_t>(1ull << 60));
  builder.key("bool", 7, bytes_of<uint8_t>(1));
  builder.strings("strings", {"a", "", "long text"});
  builder.key("i32s", 9, bytes_of<uint32_t>(5) + bytes_of<uint64_t>(2) + bytes_of<int32_t>(-1) + bytes_of<int32_t>(2));
  builder.key("f32s", 9, bytes_of<uint32_t>(6) + bytes_of<uint64_t>(1) + bytes_of(1.5f));
  builder.tensor("matrix", GgufBuilder::kQ4_1, {64, 3}, std::string(6 * 20, 'm'));
  builder.tensor("rows", GgufBuilder::kQ8_0, {32, 2}, std::string(2 * 34, 'r'));
  builder.tensor("norm", GgufBuilder::kF32, {5}, std::string(20, 'n'));
  builder.tensor("signed", GgufBuilder::kQ4_0, {64}, std::string(2 * 18, 's'));
  builder.tensor("brain", GgufBuilder::kBf16, {3}, std::string(6, 'b'));
  builder.tensor("half", GgufBuilder::kF16, {2, 2}, std::string(8, 'h'));
  return builder;
}

TEST(Gguf, values_and_tensors_come_out_as_written) {
  const auto file = open_bytes(good().bytes());
  ASSERT_TRUE(file.ok()) << file.error().message;
  const GgufMetadata& metadata = file->metadata;
  EXPECT_EQ(metadata.get_string("general.architecture").value(), "llama");
  EXPECT_EQ(metadata.get_uint("u32").value(), 7u);
  EXPECT_EQ(metadata.get_uint("u64").value(), 1ull << 60);
  EXPECT_EQ(metadata.get_float("f32").value(), 0.5);
  EXPECT_EQ(metadata.get_float("u32").value(), 7.0);
  EXPECT_EQ(std::get<int64_t>(*metadata.find("i8")), -3);
  EXPECT_EQ(std::get<bool>(*metadata.find("bool")), true);
  EXPECT_EQ(std::get<std::vector<std::string>>(*metadata.find("strings")),
            (std::vector<std::string>{"a", "", "long text"}));
  EXPECT_EQ(std::get<std::vector<int64_t>>(*metadata.find("i32s")), (std::vector<int64_t>{-1, 2}));
  EXPECT_EQ(std::get<std::vector<double>>(*metadata.find("f32s")), std::vector<double>{1.5});
  EXPECT_FALSE(metadata.get_uint("i8").ok());
  EXPECT_FALSE(metadata.get_uint("general.architecture").ok());
  EXPECT_FALSE(metadata.get_string("u32").ok());
  EXPECT_EQ(metadata.get_uint("gone").error().message, "metadata key 'gone' is missing");
  const Tensor* matrix = file->tensors.find("matrix");
  ASSERT_NE(matrix, nullptr);
  EXPECT_EQ(matrix->shape_text(), "[3, 64]") << "outermost first";
  EXPECT_EQ(matrix->bytes.size(), 120u);
  EXPECT_EQ(file->tensors.find("half")->bytes.size(), 8u);
  EXPECT_EQ(file->tensors.find("signed")->dtype, DType::kQ4_0);
  EXPECT_EQ(file->tensors.find("signed")->bytes.size(), 36u);
  EXPECT_EQ(file->tensors.find("brain")->dtype, DType::kBf16);
  EXPECT_EQ(static_cast<char>(file->tensors.find("norm")->bytes[0]), 'n');
}

TEST(Gguf, a_header_that_lies_is_refused_in_one_line) {
  expect_error("GGUF", {"cut off"});
  expect_error("GGML" + std::string(100, '\0'), {"does not begin with 'GGUF'"});
  GgufBuilder builder = good();
  builder.version = 2;
  expect_error(builder.bytes(), {"x.gguf", "version 2, expected 3"});
  builder.version = 0x03000000;
  expect_error(builder.bytes(), {"big-endian"});
  builder = good();
  builder.more_keys = 1ull << 60;
  expect_error(builder.bytes(), {"metadata keys", "at most 65536"});
  builder = good();
  builder.more_tensors = ~0ull - 100;
  expect_error(builder.bytes(), {"tensors"});
  builder = good();
  builder.more_tensors = 1000;
  expect_error(builder.bytes(), {"tensors", "bytes follow"});
}

TEST(Gguf, metadata_that_lies_is_refused_in_one_line) {
  struct Case {
    uint32_t type;
    std::string raw;
    std::vector<std::string> fragments;
  };
  const auto array = [](uint32_t type, uint64_t count) { return bytes_of(type) + bytes_of(count); };
  const Case cases[] = {
      {8, bytes_of<uint64_t>(~0ull), {"'k'", "the string has 18446744073709551615 bytes"}},
      {8, bytes_of<uint64_t>(100000), {"'k'", "100000 bytes, but only"}},
      {13, "", {"type 13, expected 0 to 12"}},
      {7, bytes_of<uint8_t>(2), {"bool of value 2"}},
      {9, array(9, 1), {"array of arrays"}},
      {9, array(77, 1), {"type 77"}},
      {9, array(8, 1ull << 61), {"array of 2305843009213693952 values"}},
      {9, array(0, 1ull << 21), {"array of 2097152 values, but only"}},
      {9, array(8, 4) + GgufBuilder::text("a") + bytes_of<uint64_t>(99999), {"string of the array has 99999 bytes"}},
      {9, array(10, 1) + bytes_of<uint64_t>(~0ull), {"at most 2^63 - 1"}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.fragments.back());
    GgufBuilder builder;
    builder.key("k", c.type, c.raw);
    builder.tensor("t", GgufBuilder::kF32, {1}, "1234");
    expect_error(builder.bytes(), c.fragments);
  }
  GgufBuilder twice;
  twice.u32("k", 1);
  twice.u32("k", 1);
  expect_error(twice.bytes(), {"'k' is there twice"});
}

TEST(Gguf, alignment_must_be_possible) {
  for (const uint32_t alignment : {0u, 3u, 4u, 48u, 1u << 21}) {
    GgufBuilder builder;
    builder.u32("general.alignment", alignment);
    expect_error(builder.bytes(), {"general.alignment", "power of two"});
  }
  GgufBuilder builder;
  builder.string("general.alignment", "32");
  expect_error(builder.bytes(), {"general.alignment", "whole number"});
}

TEST(Gguf, tensors_that_lie_are_refused_in_one_line) {
  struct Case {
    uint32_t type;
    std::vector<uint64_t> shape;
    uint64_t offset;
    std::vector<std::string> fragments;
  };
  const Case cases[] = {
      {0, {}, 0, {"0 dimensions"}},
      {0, {1, 1, 1, 1, 1}, 0, {"5 dimensions"}},
      {0, {0, 4}, 0, {"dimension of 0"}},
      {0, {1ull << 33, 1ull << 33}, 0, {"more than 2^63 bytes"}},
      {0, {1ull << 62}, 0, {"more than 2^63 bytes"}},
      {0, {8}, 64, {"end beyond the file's 64 data bytes"}},
      {0, {8}, ~0ull - 31, {"end beyond the file's 64 data bytes"}},
      {0, {17}, 0, {"end beyond the file's 64 data bytes"}},
      {0, {2}, 4, {"no multiple of the alignment 32"}},
      {GgufBuilder::kQ8_0, {33}, 0, {"whole blocks of 32 values"}},
      {GgufBuilder::kQ4_0, {48}, 0, {"whole blocks of 32 values"}},
      {GgufBuilder::kQ4_0, {32, 4}, 0, {"72 bytes at offset 0 end beyond"}},
      {14, {256}, 0, {"type Q6_K, which is not read yet", "read are: F32, F16, Q4_0, Q4_1, Q8_0, BF16"}},
      {6, {32}, 0, {"type Q5_0"}},
      {39, {32}, 0, {"type MXFP4"}},
      {4711, {4}, 0, {"type number 4711"}},
      {~0u, {4}, 0, {"type number 4294967295"}},
      {0, {8}, 32, {"'data' and 'x' share bytes"}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.fragments.back());
    GgufBuilder builder;
    builder.tensor("data", GgufBuilder::kF32, {16}, std::string(64, 'd'));
    builder.tensor_at("x", c.type, c.shape, c.offset);
    expect_error(builder.bytes(), c.fragments);
  }
  GgufBuilder twice;
  twice.tensor("t", GgufBuilder::kF32, {1}, "1234");
  twice.tensor("t", GgufBuilder::kF32, {1}, "1234");
  expect_error(twice.bytes(), {"'t' is there twice"});
}

TEST(Gguf, a_file_cut_off_anywhere_is_refused) {
  const std::string whole = good().bytes();
  const size_t last_byte = whole.size() - 24;  // "half" has 8 bytes and is padded to 32
  for (size_t size = 0; size < last_byte; ++size) {
    const auto file = open_bytes(std::string_view(whole).substr(0, size));
    ASSERT_FALSE(file.ok()) << "cut at " << size;
    ASSERT_EQ(file.error().message.find('\n'), std::string::npos);
  }
  EXPECT_TRUE(open_bytes(std::string_view(whole).substr(0, last_byte)).ok());
}

TEST(Gguf, flipped_bytes_are_read_or_refused_and_never_cost_more) {
  const std::string whole = good().bytes();
  const uint64_t before = peak_resident_bytes();
  constexpr uint64_t kSeed = 4;
  std::mt19937_64 random(kSeed);
  int refused = 0;
  for (int world = 0; world < 3000; ++world) {
    std::string bytes = whole;
    const uint64_t flips = 1 + random() % 4;
    for (uint64_t i = 0; i < flips; ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
    const auto file = open_bytes(bytes);
    if (file.ok()) {
      for (const Tensor& tensor : file->tensors.tensors())
        ASSERT_EQ(tensor.bytes.size(), tensor_bytes(tensor.dtype, tensor.shape).value());
      continue;
    }
    ++refused;
    ASSERT_EQ(file.error().message.find('\n'), std::string::npos)
        << "seed " << kSeed << " world " << world << ": " << file.error().message;
  }
  EXPECT_GT(refused, 500) << "seed " << kSeed;
  EXPECT_LT(peak_resident_bytes() - before, (uint64_t{64} << 20) + sanitizer_bytes());
}

TEST(Gguf, a_vocabulary_of_150000_tokens_is_read_quickly) {
  std::vector<std::string> tokens;
  for (int i = 0; i < 150000; ++i) tokens.push_back("token " + std::to_string(i));
  GgufBuilder builder;
  builder.strings("tokenizer.ggml.tokens", tokens);
  const auto file = open_bytes(builder.bytes());
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(std::get<std::vector<std::string>>(*file->metadata.find("tokenizer.ggml.tokens")), tokens);
}

}  // namespace
}  // namespace slipstream
