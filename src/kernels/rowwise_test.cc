#include <gtest/gtest.h>

#include "base/float_mode.h"
#include "kernels/random_matrices.h"

namespace slipstream {
namespace {

constexpr uint32_t kSizes[] = {1, 7, 8, 15, 24, 31, 32, 33, 64, 96, 100, 128, 576, 1000, 1536, 2048};

std::vector<float> random_values(uint32_t n, Random& random, float size = 1.0f) {
  std::vector<float> values(n);
  for (float& value : values) value = random.normal() * size;
  return values;
}

void expect_same(const std::vector<float>& a, const std::vector<float>& b, const char* what, uint32_t n) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(std::bit_cast<uint32_t>(a[i]), std::bit_cast<uint32_t>(b[i])) << what << " n " << n << " at " << i;
  }
}

void check_twin(Isa isa) {
  FloatModeScope mode;
  const Kernels& reference = kernels_for(Isa::kReference);
  const Kernels& twin = kernels_for(isa);
  Random random(1);
  for (uint32_t n : kSizes) {
    for (float size : {1e-30f, 1e-3f, 1.0f, 30.0f, 1e6f}) {
      const std::vector<float> x = random_values(n, random, size), y = random_values(n, random, size);
      std::vector<float> a(n), b(n);
      EXPECT_TRUE(reference.rms_norm(x.data(), y.data(), 1e-5f, n, a.data()));
      EXPECT_TRUE(twin.rms_norm(x.data(), y.data(), 1e-5f, n, b.data()));
      expect_same(a, b, "rms_norm", n);
      reference.swiglu(x.data(), y.data(), n, a.data());
      twin.swiglu(x.data(), y.data(), n, b.data());
      expect_same(a, b, "swiglu", n);
      a = b = x;
      reference.add(a.data(), y.data(), n);
      twin.add(b.data(), y.data(), n);
      expect_same(a, b, "add", n);
      reference.add_scaled(a.data(), y.data(), 0.37f, n);
      twin.add_scaled(b.data(), y.data(), 0.37f, n);
      expect_same(a, b, "add_scaled", n);
      a = b = x;
      const uint32_t even = n / 2 * 2;
      reference.rope(a.data(), y.data(), y.data() + n / 2, even);
      twin.rope(b.data(), y.data(), y.data() + n / 2, even);
      expect_same(a, b, "rope", n);
    }
  }
}

TEST(Rowwise, every_isa_gives_the_references_bits) {
  for (Isa isa : kAllIsas) {
    if (isa != Isa::kReference && isa_supported(isa)) check_twin(isa);
  }
}

TEST(Rowwise, agrees_with_double) {
  FloatModeScope mode;
  Random random(2);
  const Kernels& kernels = kernels_for(best_isa());
  const uint32_t n = 576;
  const std::vector<float> x = random_values(n, random), y = random_values(n, random);
  double squares = 0;
  for (float value : x) squares += static_cast<double>(value) * value;
  const double inverse = 1.0 / std::sqrt(squares / n + 1e-5);
  std::vector<float> out(n);
  EXPECT_TRUE(kernels.rms_norm(x.data(), y.data(), 1e-5f, n, out.data()));
  for (uint32_t i = 0; i < n; ++i) EXPECT_NEAR(out[i], x[i] * inverse * y[i], 1e-6);
  kernels.swiglu(x.data(), y.data(), n, out.data());
  for (uint32_t i = 0; i < n; ++i) {
    EXPECT_NEAR(out[i], x[i] / (1.0 + std::exp(-static_cast<double>(x[i]))) * y[i], 2e-6);
  }

  std::vector<float> head = x, cos(n / 2), sin(n / 2);
  for (uint32_t i = 0; i < n / 2; ++i) {
    cos[i] = std::cos(static_cast<float>(i));
    sin[i] = std::sin(static_cast<float>(i));
  }
  kernels.rope(head.data(), cos.data(), sin.data(), n);
  for (uint32_t i = 0; i < n / 2; ++i) {
    EXPECT_NEAR(head[i], x[i] * cos[i] - x[i + n / 2] * sin[i], 1e-6);
    EXPECT_NEAR(head[i + n / 2], x[i + n / 2] * cos[i] + x[i] * sin[i], 1e-6);
  }
}

TEST(Rowwise, a_norm_can_be_taken_in_place) {
  FloatModeScope mode;
  Random random(3);
  for (Isa isa : kAllIsas) {
    if (!isa_supported(isa)) continue;
    std::vector<float> x = random_values(100, random), weight = random_values(100, random), out(100);
    kernels_for(isa).rms_norm(x.data(), weight.data(), 1e-6f, 100, out.data());
    kernels_for(isa).rms_norm(x.data(), weight.data(), 1e-6f, 100, x.data());
    expect_same(x, out, "rms_norm", 100);
  }
}

TEST(Rowwise, a_row_that_is_not_finite_is_seen_wherever_it_is) {
  FloatModeScope mode;
  Random random(4);
  for (Isa isa : kAllIsas) {
    if (!isa_supported(isa)) continue;
    for (uint32_t n : kSizes) {
      for (uint32_t bits : {0x7fc00000u, 0xffc00001u, 0x7f800000u, 0xff800000u, 0x7f800001u}) {
        for (uint32_t place : {0u, n / 2, n - 1}) {
          std::vector<float> x = random_values(n, random), out(n);
          EXPECT_TRUE(kernels_for(isa).rms_norm(x.data(), x.data(), 1e-6f, n, out.data()));
          EXPECT_TRUE(all_finite(x.data(), n));
          x[place] = std::bit_cast<float>(bits);
          EXPECT_FALSE(kernels_for(isa).rms_norm(x.data(), x.data(), 1e-6f, n, out.data()))
              << isa_name(isa) << " n " << n << " at " << place;
          EXPECT_FALSE(all_finite(x.data(), n));
        }
      }
    }
  }
}

TEST(Rowwise, has_the_committed_hash) {
  FloatModeScope mode;
  for (Isa isa : kAllIsas) {
    if (!isa_supported(isa)) continue;
    const Kernels& kernels = kernels_for(isa);
    Random random(5);
    std::vector<float> x = random_values(3000, random, 5.0f), y = random_values(3000, random), out(3000);
    kernels.rms_norm(x.data(), y.data(), 1e-5f, 3000, out.data());
    kernels.add(x.data(), out.data(), 3000);
    kernels.rope(x.data(), y.data(), y.data() + 1500, 3000);
    kernels.swiglu(x.data(), y.data(), 3000, out.data());
    EXPECT_EQ(hash_floats(out), 0x8a90150b353d37a8u) << isa_name(isa);
  }
}

TEST(Isa, names_go_there_and_back) {
  EXPECT_EQ(isa_from_name("reference"), Isa::kReference);
  EXPECT_EQ(isa_from_name("avx2"), Isa::kAvx2);
  EXPECT_EQ(isa_from_name("avx512"), Isa::kAvx512);
  EXPECT_EQ(isa_from_name("avx512-coupled"), Isa::kAvx512Coupled);
  EXPECT_EQ(isa_from_name("AVX2"), std::nullopt);
  EXPECT_TRUE(isa_supported(best_isa()));
  EXPECT_EQ(kernels_for(best_isa()).isa, best_isa());
}

}  // namespace
}  // namespace slipstream
