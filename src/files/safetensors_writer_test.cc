#include "files/safetensors_writer.h"

#include <gtest/gtest.h>

#include <cstring>

#include "files/tensor_source.h"
#include "files/test_files.h"

namespace slipstream {
namespace {

TEST(SafetensorsWriter, what_was_written_is_read_back_whatever_the_order_of_rows) {
  const TempFolder folder;
  auto writer = SafetensorsWriter::create(folder.path("model.safetensors"),
                                          {{"logits.0", DType::kF32, {3, 2}}, {"logits.1", DType::kF32, {1, 5}}});
  ASSERT_TRUE(writer.ok()) << writer.error().message;
  const std::vector<float> wide{1, 2, 3, 4, 5};
  ASSERT_TRUE(writer->write_row(1, 0, wide).ok());
  ASSERT_TRUE(writer->write_row(0, 2, std::vector<float>{-5, 6.5f}).ok());
  ASSERT_TRUE(writer->write_row(0, 0, std::vector<float>{7, 8}).ok());
  ASSERT_TRUE(writer->close().ok());

  const auto source = open_safetensors_folder(folder.path());
  ASSERT_TRUE(source.ok()) << source.error().message;
  EXPECT_EQ(source->tensors().size(), 2u);
  const Tensor* first = source->find("logits.0");
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->dtype, DType::kF32);
  EXPECT_EQ(first->shape, (std::vector<uint64_t>{3, 2}));
  const float expected[6] = {7, 8, 0, 0, -5, 6.5f};  // row 1 was not written
  EXPECT_EQ(std::memcmp(first->bytes.data(), expected, sizeof expected), 0);
  EXPECT_EQ(std::memcmp(source->find("logits.1")->bytes.data(), wide.data(), 20), 0);
}

TEST(SafetensorsWriter, a_file_that_cannot_be_made_is_said_by_its_name) {
  const auto writer = SafetensorsWriter::create("/no-such-folder/out.safetensors", {{"a", DType::kF32, {1, 1}}});
  ASSERT_FALSE(writer.ok());
  EXPECT_NE(writer.error().message.find("/no-such-folder/out.safetensors"), std::string::npos);
}

}  // namespace
}  // namespace slipstream
