#include <gtest/gtest.h>

#include <filesystem>

#include "base/memory.h"
#include "files/test_files.h"
#include "files/tensor_source.h"

namespace slipstream {
namespace {

constexpr char kTwo[] =
    R"({"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
    R"("b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]}})";
const std::string kThirtyTwo(32, '\1');

Result<TensorSource> open_single(std::string_view file) {
  const TempFolder folder;
  write_file(folder.path("model.safetensors"), file);
  return open_safetensors_folder(folder.path());
}

// Refused, and in one line that has every fragment.
void expect_error(const Result<TensorSource>& source, const std::vector<std::string>& fragments) {
  ASSERT_FALSE(source.ok());
  const std::string& message = source.error().message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  for (const std::string& fragment : fragments)
    EXPECT_NE(message.find(fragment), std::string::npos) << message << "\nlacks: " << fragment;
}

TEST(Safetensors, tensors_are_found_by_name_with_their_bytes) {
  std::string data;
  for (char c = 0; c < 32; ++c) data += c;
  const auto source = open_single(safetensors_bytes(kTwo, data));
  ASSERT_TRUE(source.ok()) << source.error().message;
  EXPECT_EQ(source->tensors().size(), 2u);
  EXPECT_EQ(source->total_bytes(), 32u);
  const Tensor* b = source->find("b");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(b->dtype, DType::kBf16);
  EXPECT_EQ(b->shape, std::vector<uint64_t>{4});
  EXPECT_EQ(b->file, "model.safetensors");
  EXPECT_EQ(b->bytes.size(), 8u);
  EXPECT_EQ(static_cast<int>(b->bytes[0]), 24);
  EXPECT_EQ(source->find("a")->shape_text(), "[2, 3]");
  EXPECT_EQ(source->find("c"), nullptr);
  source->release(b->bytes);
  EXPECT_EQ(static_cast<int>(b->bytes[7]), 31) << "released pages are read again";
}

TEST(Safetensors, metadata_is_skipped_whatever_is_in_it) {
  for (const char* metadata : {"{\"format\":\"pt\"}", "{\"a\":{\"b\":[1,[2]]}}", "3", "[]"}) {
    std::string header(kTwo);
    header = "{\"__metadata__\":" + std::string(metadata) + "," + header.substr(1);
    const auto source = open_single(safetensors_bytes(header, kThirtyTwo));
    ASSERT_TRUE(source.ok()) << source.error().message;
    EXPECT_EQ(source->tensors().size(), 2u);
  }
}

TEST(Safetensors, scalars_and_empty_tensors_are_tensors) {
  const auto source = open_single(safetensors_bytes(
      R"({"s":{"dtype":"I64","shape":[],"data_offsets":[0,8]},"e":{"dtype":"F32","shape":[0,4],"data_offsets":[8,8]}})",
      kThirtyTwo));
  ASSERT_TRUE(source.ok()) << source.error().message;
  EXPECT_EQ(source->find("s")->bytes.size(), 8u);
  EXPECT_EQ(source->find("e")->bytes.size(), 0u);
}

TEST(Safetensors, a_header_that_lies_is_refused_in_one_line) {
  struct Case {
    const char* entry;
    std::vector<std::string> fragments;
  };
  const Case cases[] = {
      {R"("dtype":"F32","shape":[2,3],"data_offsets":[0,20])", {"tensor 'x'", "hold 20 bytes", "expected 24"}},
      {R"("dtype":"F32","shape":[2,3],"data_offsets":[24,0])", {"end before they begin"}},
      {R"("dtype":"F32","shape":[2,3],"data_offsets":[16,40])", {"beyond the file's 32 data bytes"}},
      {R"("dtype":"F32","shape":[2,3],"data_offsets":[18446744073709551610,18446744073709551615])",
       {"beyond the file's 32"}},
      {R"("dtype":"F32","shape":[2,3],"data_offsets":[-24,0])", {"data_offsets", "not a whole number"}},
      {R"("dtype":"F32","shape":[2,3],"data_offsets":[0.0,24])", {"data_offsets", "not a whole number"}},
      {R"("dtype":"F32","shape":[2,3],"data_offsets":[0,1e30])", {"data_offsets", "not a whole number"}},
      {R"("dtype":"F32","shape":[2,3],"data_offsets":[0,24,24])", {"more than 2 numbers"}},
      {R"("dtype":"F32","shape":[2,3],"data_offsets":[0])", {"no proper data_offsets"}},
      {R"("dtype":"F32","shape":[2,3],"data_offsets":24)", {"lists of numbers"}},
      {R"("dtype":"F32","shape":[2,3])", {"no proper data_offsets"}},
      {R"("dtype":"F32","data_offsets":[0,24])", {"no proper shape"}},
      {R"("shape":[2,3],"data_offsets":[0,24])", {"no proper dtype"}},
      {R"("dtype":32,"shape":[2,3],"data_offsets":[0,24])", {"dtype is not a string"}},
      {R"("dtype":"F7","shape":[2,3],"data_offsets":[0,24])", {"dtype 'F7' is not read"}},
      {R"("dtype":"F8_E4M3","shape":[24],"data_offsets":[0,24])", {"dtype 'F8_E4M3' is not read"}},
      {R"("dtype":"F32","shape":[8589934592,8589934592],"data_offsets":[0,24])", {"more than 2^63 bytes"}},
      {R"("dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0])", {"more than 2^63 bytes"}},
      {R"("dtype":"F32","shape":[[2,3]],"data_offsets":[0,24])", {"shape", "not a whole number"}},
      {R"("dtype":"F32","shape":["2"],"data_offsets":[0,24])", {"shape", "not a whole number"}},
      {R"("dtype":"F32","shape":[1,1,1,1,1,1,1,1,6],"data_offsets":[0,24])", {"more than 8 numbers"}},
      {R"("dtype":"F32","shape":[6],"shape":[6],"data_offsets":[0,24])", {"'shape' twice"}},
      {R"("dtype":"F32","shape":[6],"colour":1,"data_offsets":[0,24])", {"a field 'colour'"}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.entry);
    expect_error(open_single(safetensors_bytes("{\"x\":{" + std::string(c.entry) + "}}", kThirtyTwo)), c.fragments);
  }
}

TEST(Safetensors, a_file_that_is_no_safetensors_is_refused_in_one_line) {
  const std::string good = safetensors_bytes(kTwo, kThirtyTwo);
  expect_error(open_single(""), {"is empty"});
  expect_error(open_single("1234567"), {"7 bytes, expected at least 8"});
  expect_error(open_single(bytes_of<uint64_t>(1ull << 63) + good.substr(8)),
               {"header has 9223372036854775808 bytes", "at most 100000000"});
  expect_error(open_single(bytes_of<uint64_t>(good.size() - 7) + good.substr(8)), {"model.safetensors", "cut off"});
  expect_error(open_single(good.substr(0, good.size() - 1)), {"tensor 'b'", "cut off"});
  expect_error(open_single(safetensors_bytes("", kThirtyTwo)), {"header", "is not JSON"});
  expect_error(open_single(safetensors_bytes("[]", kThirtyTwo)), {"not a JSON object"});
  expect_error(open_single(safetensors_bytes(R"({"x":3})", kThirtyTwo)), {"tensor 'x'", "not described by an object"});
  expect_error(open_single(safetensors_bytes(std::string(kTwo) + "x", kThirtyTwo)), {"is not JSON"});
  expect_error(open_single(safetensors_bytes(std::string(64, '\0'), kThirtyTwo)), {"is not JSON"});
  expect_error(open_single(safetensors_bytes(R"({"__metadata__":)" + std::string(100000, '[') + "}", kThirtyTwo)),
               {"nested deeper than 64"});
  expect_error(open_single(safetensors_bytes("{\"\xff\xfe\":{}}", kThirtyTwo)), {"is not JSON"});
}

TEST(Safetensors, names_that_would_break_the_line_are_escaped) {
  expect_error(open_single(safetensors_bytes("{\"a\\nb\\u001b[31m\":3}", kThirtyTwo)), {"'a\\x0ab\\x1b[31m'"});
}

TEST(Safetensors, tensors_that_share_bytes_or_a_name_are_refused) {
  expect_error(
      open_single(safetensors_bytes(
          R"({"a":{"dtype":"U8","shape":[16],"data_offsets":[0,16]},)"
          R"("b":{"dtype":"U8","shape":[8],"data_offsets":[15,23]}})",
          kThirtyTwo)),
      {"'a' and 'b' share bytes"});
  expect_error(
      open_single(safetensors_bytes(
          R"({"a":{"dtype":"U8","shape":[16],"data_offsets":[0,16]},)"
          R"("a":{"dtype":"U8","shape":[16],"data_offsets":[0,16]}})",
          kThirtyTwo)),
      {"'a' is there twice"});
}

// ---------------------------------------------------------------- shards

class Shards : public testing::Test {
 protected:
  void write_shard(const std::string& name, const std::string& tensor) {
    write_file(
        folder_.path(name),
        safetensors_bytes("{\"" + tensor + R"(":{"dtype":"U8","shape":[32],"data_offsets":[0,32]}})", kThirtyTwo));
  }
  Result<TensorSource> open_with(const std::string& weight_map) {
    write_file(folder_.path("model.safetensors.index.json"),
               R"({"metadata":{"total_size":64},"weight_map":)" + weight_map + "}");
    return open_safetensors_folder(folder_.path());
  }
  TempFolder folder_;
};

TEST_F(Shards, all_files_of_the_index_are_read) {
  write_shard("one.safetensors", "a");
  write_shard("two.safetensors", "b");
  const auto source = open_with(R"({"a":"one.safetensors","b":"two.safetensors"})");
  ASSERT_TRUE(source.ok()) << source.error().message;
  EXPECT_EQ(source->find("b")->file, "two.safetensors");
  source->release(source->find("a")->bytes);
}

TEST_F(Shards, an_index_that_lies_is_refused_in_one_line) {
  write_shard("one.safetensors", "a");
  write_shard("two.safetensors", "b");
  write_shard("again.safetensors", "a");
  for (const char* outside : {"../one.safetensors", "/etc/one.safetensors", "x/one.safetensors", "..", "", "one.bin",
                              "a\\u0000.safetensors"}) {
    SCOPED_TRACE(outside);
    expect_error(open_with("{\"a\":\"" + std::string(outside) + "\"}"),
                 {"model.safetensors.index.json", "expected a name.safetensors in the same folder"});
  }
  expect_error(open_with(R"({"a":"one.safetensors","b":"three.safetensors"})"), {"three.safetensors", "No such file"});
  expect_error(open_with(R"({"a":"one.safetensors","b":"one.safetensors"})"),
               {"tensor 'b' is missing", "one.safetensors"});
  expect_error(open_with(R"({"a":"two.safetensors","b":"one.safetensors"})"),
               {"tensor 'a' is here", "says two.safetensors"});
  expect_error(open_with(R"({"a":"one.safetensors","c":"again.safetensors"})"), {"tensor 'a' is in"});
  expect_error(open_with(R"({"a":"one.safetensors","a":"one.safetensors"})"), {"'a' twice"});
  expect_error(open_with(R"({"a":3})"), {"weight_map is not an object"});
  expect_error(open_with(R"({"a":["one.safetensors"]})"), {"weight_map is not an object"});
  expect_error(open_with("[]"), {"weight_map is not an object"});
  expect_error(open_with("{}"), {"has no weight_map"});
  expect_error(open_with("{"), {"is not JSON"});
  std::string many = "{";
  for (int i = 0; i < 600; ++i) many += fmt::format("\"t{0}\":\"s{0}.safetensors\",", i);
  many.back() = '}';
  expect_error(open_with(many), {"names 600 files, expected at most 512"});
}

TEST_F(Shards, what_is_no_regular_file_is_refused) {
  std::filesystem::create_directory(folder_.path("one.safetensors"));
  expect_error(open_with(R"({"a":"one.safetensors"})"), {"one.safetensors", "not a regular file"});
  expect_error(open_safetensors_folder("/nonexistent"), {"/nonexistent/model.safetensors", "No such file"});
}

TEST(Safetensors, a_header_costs_little_more_memory_than_its_bytes) {
  // 20 MB of numbers, of which a tree would be ten times as large.
  const uint64_t before = peak_resident_bytes();
  std::string keys = "{\"__metadata__\":{";
  while (keys.size() < (size_t{20} << 20)) keys += "\"k\":[0,0,0,0,0,0],";
  keys.back() = '}';
  keys += "}";
  EXPECT_TRUE(open_single(safetensors_bytes(keys, "")).ok());
  EXPECT_LT(peak_resident_bytes() - before, (uint64_t{150} << 20) + sanitizer_bytes());
}

}  // namespace
}  // namespace slipstream
