// The kernels' speed beside the machine's limits, all measured in one run:
//
//   kernels_bench [matmul] [attention] [rowwise] [pack] [threads=2] [isa=avx2] [rows=1,2,4] [mib=512]
//                 [head_dim=64,128] [group=2,4] [context=2048]      (of attention: only these)
//                 [streams=1] [prefetch=8192]                       (of matmul with one row or two)
//
// Weights are random bytes (zeros run faster), many matrices in turn, `mib` in all, so that they come from memory and
// not from a cache. matmul: GB/s of weights as packed with its share of a plain read, 10^12 operations a second with
// their share of what the inner instructions alone can do. Shares are what to compare: a shared machine drifts by 10
// % and more. attention: see attention_bench.cc.

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string_view>

#include "base/float_mode.h"
#include "base/memory.h"
#include "kernels/machine_limits.h"
#include "kernels/packed_block.h"
#include "kernels/random_matrices.h"
#include "kernels/stream_tuning.h"
#include "kernels_bench.h"

namespace slipstream {
namespace {

// -- matmul --------------------------------------------------------------------------------------
struct Weights {
  const char* name;
  MatrixFormat format;
};

// Random values everywhere, then sane scales: random bits would be infinities and NaNs.
void fill_matrices(const KernelsBench& bench, const MatrixFormat& format, size_t matrix_bytes) {
  Random random(1);
  std::span<std::byte> first = bench.memory.first(matrix_bytes);
  for (size_t i = 0; i + 8 <= first.size(); i += 8) {
    const uint64_t bits = random.bits();
    std::memcpy(first.data() + i, &bits, 8);
  }
  const auto put = [&](std::byte* to, ScaleType type) {
    const float value = random.uniform(0.005f, 0.015f);
    const uint16_t bits = type == ScaleType::kBf16 ? narrow_bf16(value) : narrow_fp16(value);
    type == ScaleType::kFp32 ? std::memcpy(to, &value, 4) : std::memcpy(to, &bits, 2);
  };
  if (format.quantised()) {
    const BlockLayout layout = block_layout(format);
    for (size_t block = 0; block < matrix_bytes; block += layout.block_bytes) {
      for (size_t i = layout.value_bytes; i < layout.block_bytes; i += scale_bytes(format.scales)) {
        put(first.data() + block + i, format.scales);
      }
    }
  } else {
    const ScaleType type = format.type == WeightType::kBf16   ? ScaleType::kBf16
                           : format.type == WeightType::kFp16 ? ScaleType::kFp16
                                                              : ScaleType::kFp32;
    for (size_t i = 0; i < matrix_bytes; i += type == ScaleType::kFp32 ? 4 : 2) put(first.data() + i, type);
  }
  for (size_t i = matrix_bytes; i + matrix_bytes <= bench.memory.size(); i += matrix_bytes) {
    std::memcpy(bench.memory.data() + i, first.data(), matrix_bytes);
  }
}

// Seconds for one matrix with `rows` rows; quantising the activations is not counted.
double time_matmul(const KernelsBench& bench, const MatrixFormat& format, uint32_t outputs, uint32_t inputs,
                   uint32_t rows) {
  Random random(2);
  // Rows as far apart as in model/workspace.cc: never a multiple of 4 KB.
  const size_t stride = inputs % 1024 == 0 ? inputs + 16 : inputs;
  std::vector<float> x(rows * stride);
  for (uint32_t row = 0; row < rows; ++row) {
    const std::vector<float> values = random_rows(1, inputs, random);
    std::copy(values.begin(), values.end(), x.begin() + static_cast<ptrdiff_t>(row * stride));
  }
  const Matrix<const float> input{x.data(), rows, inputs, stride};
  AlignedBytes quantised(bench.kernels.quantised_bytes(rows, inputs));
  std::vector<uint8_t> finite(rows, 1);
  {
    FloatModeScope mode;
    bench.kernels.quantise(input, {0, rows}, all_chunks(input.cols), quantised.data(), finite.data());
  }
  const size_t scratch_bytes = round_up(matmul_scratch_bytes(rows, inputs), 4096);
  AlignedBytes scratch(scratch_bytes * bench.options.threads);
  std::vector<float> y(static_cast<size_t>(rows) * (outputs + 16));
  const size_t bytes = packed_bytes(format, outputs, inputs);
  const size_t num_matrices = bench.memory.size() / bytes;
  size_t next = 0;
  // One matrix or more a run: about a millisecond.
  const double operations = 2.0 * outputs * inputs * rows;
  const size_t each =
      std::clamp<size_t>(static_cast<size_t>(0.001 / std::max(bytes / 25e9, operations / 0.2e12)), 1, num_matrices);
  const double seconds = shortest_seconds(rows > 16 ? 8 : 40, [&](int) {
    for (size_t i = 0; i < each; ++i, next = (next + 1) % num_matrices) {
      const PackedMatrix w{format, outputs, inputs, bench.memory.data() + next * bytes};
      bench.pool.run([&](uint32_t thread) {
        bench.kernels.matmul(w, {input, quantised.data()}, split(w.num_panels(), thread, bench.options.threads),
                             {y.data(), rows, outputs, outputs + 16}, scratch.data() + thread * scratch_bytes);
      });
    }
  });
  return seconds / static_cast<double>(each);
}

void run_matmul(const KernelsBench& bench) {
  const Weights weights[] = {
      {"4 bits g64 bf16", {WeightType::kUnsigned, 4, 64, ScaleType::kBf16}},
      {"8 bits g64 bf16", {WeightType::kUnsigned, 8, 64, ScaleType::kBf16}},
      {"Q4_1 (4 bits g32 fp16)", {WeightType::kUnsigned, 4, 32, ScaleType::kFp16}},
      {"Q8_0 (signed 8 bits g32 fp16)", {WeightType::kSigned, 8, 32, ScaleType::kFp16}},
      {"4 bits g128 bf16", {WeightType::kUnsigned, 4, 128, ScaleType::kBf16}},
      {"bf16", {WeightType::kBf16, 16, 0, ScaleType::kFp32}},
      {"fp16", {WeightType::kFp16, 16, 0, ScaleType::kFp32}},
  };
  const std::pair<uint32_t, uint32_t> shapes[] = {{8192, 2048}, {1536, 576}};
  for (const auto& [outputs, inputs] : shapes) {
    for (const Weights& w : weights) {
      if (w.format.quantised() && inputs % w.format.group != 0) continue;
      const size_t bytes = packed_bytes(w.format, outputs, inputs);
      fill_matrices(bench, w.format, bytes);
      const double read = read_bandwidth(bench.pool, bench.memory);
      const double peak = w.format.quantised() ? bench.integer_tops : bench.fma_tops;
      fmt::print("{} {}x{}: plain read {:.1f} GB/s, instructions {:.3f} TOPS\n", w.name, outputs, inputs, read,
                 peak);
      for (uint32_t rows : bench.options.rows) {
        const double seconds = time_matmul(bench, w.format, outputs, inputs, rows);
        const double gb = static_cast<double>(bytes) / seconds * 1e-9,
                     tops = 2.0 * outputs * inputs * rows / seconds * 1e-12;
        const double limit =
            std::max(static_cast<double>(bytes) / (read * 1e9), 2.0 * outputs * inputs * rows / (peak * 1e12));
        fmt::print(
            "  M {:4}  {:8.1f} us  {:5.1f} GB/s ({:3.0f} % of read)  {:6.3f} TOPS ({:3.0f} % of instructions)  "
            "limit/time {:.2f}\n",
            rows, seconds * 1e6, gb, gb / read * 100, tops, tops / peak * 100, limit / seconds);
      }
    }
  }
}

// -- row by row ----------------------------------------------------------------------------------
void run_rowwise(const KernelsBench& bench) {
  FloatModeScope mode;
  for (uint32_t n : {576u, 2048u, 8192u}) {
    Random random(4);
    const std::vector<float> x = random_rows(1, n, random), y = random_rows(1, n, random);
    std::vector<float> out(n);
    AlignedBytes quantised(bench.kernels.quantised_bytes(1, n));
    uint8_t finite = 1;
    constexpr int kTimes = 500;
    const auto time = [&](const char* name, auto&& work) {
      const double seconds = shortest_seconds(20, [&](int) {
        for (int i = 0; i < kTimes; ++i) work();
      });
      fmt::print("{:10} {:5}: {:.2f} us\n", name, n, seconds / kTimes * 1e6);
    };
    time("rms_norm", [&] { bench.kernels.rms_norm(x.data(), y.data(), 1e-5f, n, out.data()); });
    time("quantise",
         [&] { bench.kernels.quantise({x.data(), 1, n, n}, {0, 1}, all_chunks(n), quantised.data(), &finite); });
    time("swiglu", [&] { bench.kernels.swiglu(x.data(), y.data(), n, out.data()); });
    time("add", [&] { bench.kernels.add(out.data(), y.data(), n); });
    time("rope", [&] { bench.kernels.rope(out.data(), x.data(), y.data(), n); });
  }
}

// -- packing -------------------------------------------------------------------------------------
// One thread packs rows that lie in a cache (loading reads them from a file) into memory that is new to the cache. Its
// limit is a plain copy of as many bytes to the same place.
void run_pack(const KernelsBench& bench) {
  constexpr uint32_t kCols = 2048;
  Random random(5);
  std::vector<uint64_t> bytes(kPanelRows * kCols);
  for (uint64_t& word : bytes) word = random.bits();
  for (const MatrixFormat& format : all_formats()) {
    PanelSource source;
    source.num_rows = kPanelRows;
    for (uint32_t row = 0; row < kPanelRows; ++row) {
      source.values[row] = source.scales[row] = source.biases[row] = bytes.data() + row * kCols / 2;
    }
    const size_t panel_bytes = packed_panel_bytes(format, kCols);
    const size_t num_panels = bench.memory.size() / panel_bytes;
    const size_t each = std::min<size_t>(num_panels, 256);
    const auto time = [&](auto&& work) {
      return static_cast<double>(each * panel_bytes) / shortest_seconds(20, [&](int run) {
               for (size_t i = 0; i < each; ++i) {
                 work(bench.memory.data() + (run * each + i) % num_panels * panel_bytes);
               }
             }) * 1e-9;
    };
    const double packed = time([&](std::byte* to) { pack_panel(format, kCols, source, to); });
    const double copied = time([&](std::byte* to) { std::memcpy(to, bytes.data(), panel_bytes); });
    fmt::print("pack {:32} {:5.2f} GB/s packed; plain copy {:5.2f} GB/s ({:3.0f} %)\n", describe(format), packed,
               copied, packed / copied * 100);
  }
}

// -- arguments -----------------------------------------------------------------------------------
bool read_number(std::string_view text, size_t& value) {
  return std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc();
}

bool read_list(std::string_view text, std::vector<uint32_t>& list) {
  list.clear();
  size_t number = 0;
  while (!text.empty() && read_number(text, number)) {
    list.push_back(static_cast<uint32_t>(number));
    const size_t comma = text.find(',');
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
  }
  return !list.empty();
}

bool read_option(std::string_view argument, BenchOptions& options) {
  if (argument == "matmul") return options.matmul = true;
  if (argument == "attention") return options.attention = true;
  if (argument == "rowwise") return options.rowwise = true;
  if (argument == "pack") return options.pack = true;
  const size_t equals = argument.find('=');
  if (equals == std::string_view::npos) return false;
  const std::string_view name = argument.substr(0, equals);
  const std::string_view value = argument.substr(equals + 1);
  size_t number = 0;
  if (name == "isa") {
    const std::optional<Isa> isa = isa_from_name(value);
    if (!isa || !isa_supported(*isa)) return false;
    options.isa = *isa;
    return true;
  }
  if (name == "rows") return read_list(value, options.rows);
  if (name == "head_dim") return read_list(value, options.head_dims);
  if (name == "group") return read_list(value, options.groups);
  if (name == "context") return read_list(value, options.contexts);
  if (!read_number(value, number)) return false;
  if (name == "streams" || name == "prefetch") {
    StreamTunings tunings = stream_tunings();
    for (StreamTuning* tuning : {&tunings.of_4_bits, &tunings.of_8_bits}) {
      (name == "streams" ? tuning->streams : tuning->prefetch_bytes) = static_cast<uint32_t>(number);
    }
    set_stream_tunings(tunings);
    return true;
  }
  if (number == 0) return false;
  if (name == "threads") {
    options.threads = static_cast<uint32_t>(number);
  } else if (name == "mib")
    options.mib = number;
  else
    return false;
  return true;
}

int run(int argc, char** argv) {
  BenchOptions options;
  for (int i = 1; i < argc; ++i) {
    if (read_option(argv[i], options)) continue;
    fmt::print(stderr, "not understood: {}\n", argv[i]);
    return 2;
  }
  const bool all = !options.matmul && !options.attention && !options.rowwise && !options.pack;
  Result<Arena> arena = Arena::make(options.mib << 20);
  if (!arena) {
    fmt::print(stderr, "{} MiB cannot be had\n", options.mib);
    return 1;
  }
  ThreadPool pool(options.threads);
  // A new thread begins beside its maker; it needs some milliseconds of work to find a processor of its own.
  const double begin = Clock::real().now_s();
  while (Clock::real().now_s() - begin < 0.1) pool.run([](uint32_t) {});
  const KernelsBench bench{options,       kernels_for(options.isa), pool, {arena->data(), arena->size()},
                    integer_peak(pool, options.isa), fma_peak(pool, options.isa)};
  fmt::print("{} threads, {}: int16 products {:.3f} TOPS, fp32 FMA {:.3f} TFLOP/s\n", options.threads,
             isa_name(options.isa), bench.integer_tops, bench.fma_tops);
  if (all || options.matmul) run_matmul(bench);
  if (all || options.attention) bench_attention(bench);
  if (all || options.rowwise) run_rowwise(bench);
  if (all || options.pack) run_pack(bench);
  return 0;
}

}  // namespace
}  // namespace slipstream

int main(int argc, char** argv) { return slipstream::run(argc, argv); }
