#include "files/made_bytes.h"

#include <gtest/gtest.h>

#include "base/memory.h"
#include "files/tensor_source.h"

namespace slipstream {
namespace {

std::byte byte_at(size_t offset) { return static_cast<std::byte>(offset * 7 + offset / 256); }

std::shared_ptr<MadeBytes> made_of(size_t size) {
  auto made = MadeBytes::reserve(size, [](size_t offset, std::span<std::byte> out) {
    for (size_t i = 0; i < out.size(); ++i) out[i] = byte_at(offset + i);
  });
  EXPECT_TRUE(made.ok());
  return *made;
}

TEST(MadeBytes, a_piece_is_there_from_need_to_release_and_can_be_made_again) {
  const auto made = made_of(20 * 4096);
  const auto piece = made->bytes().subspan(5000, 3 * 4096);
  made->need(piece);
  for (size_t i = 0; i < piece.size(); ++i) ASSERT_EQ(piece[i], byte_at(5000 + i));
  made->release(piece);
  EXPECT_EQ(piece[4096], std::byte{0});          // a whole page inside
  EXPECT_EQ(piece[0], byte_at(5000));            // its page also holds others' bytes
  made->need(piece);
  for (size_t i = 0; i < piece.size(); ++i) ASSERT_EQ(piece[i], byte_at(5000 + i));
}

TEST(MadeBytes, more_than_the_machine_has_takes_only_the_piece_in_work) {
  const auto made = made_of(size_t{1} << 40);
  const uint64_t before = resident_bytes();
  constexpr size_t kPiece = size_t{8} << 20;
  for (size_t i = 0; i < 16; ++i) {
    const auto piece = made->bytes().subspan(i * (kPiece << 10), kPiece);
    made->need(piece);
    made->release(piece);
  }
  EXPECT_LT(resident_bytes(), before + 4 * kPiece);
}

TEST(MadeBytes, a_tensor_source_stands_on_them) {
  const auto made = made_of(2 * 4096);
  std::vector<Tensor> tensors(2);
  tensors[0] = {"b", DType::kF32, {4}, made->bytes().subspan(4096, 16), "made"};
  tensors[1] = {"a", DType::kU8, {3}, made->bytes().subspan(0, 3), "made"};
  const auto source = TensorSource::make(std::move(tensors), made);
  ASSERT_TRUE(source.ok()) << source.error().message;
  const Tensor* tensor = source->find("b");
  ASSERT_NE(tensor, nullptr);
  source->need(tensor->bytes);
  EXPECT_EQ(tensor->bytes[3], byte_at(4099));
  source->release(tensor->bytes);
}

}  // namespace
}  // namespace slipstream
