#include "app/tuning.h"

#include <fmt/format.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/float_mode.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/percentile.h"
#include "files/text_file.h"
#include "kernels/machine_limits.h"

namespace slipstream {
namespace {

constexpr size_t kFewestBytes = 64 << 20;
constexpr size_t kMostBytes = size_t{512} << 20;  // more is as good
constexpr uint32_t kStreams[] = {1, 2, 4};
constexpr uint32_t kPrefetchBytes[] = {0, 1024, 2048, 4096, 8192, 16384};
constexpr uint32_t kInputs = 2048;
constexpr uint32_t kOutputs = 8192;  // 9 or 18 MB
constexpr int kRounds = 15;
constexpr double kWorthIt = 1.05;
constexpr uint64_t kMaxFileBytes = 1 << 20;

// Bytes from `memory` stand for the matrices: whatever they mean, they are as many, and read in the same order.
class StreamBench {
 public:
  StreamBench(ThreadPool& pool, Isa isa, std::span<const std::byte> memory)
      : pool_(pool), kernels_(kernels_for(isa)), memory_(memory.first(std::min(memory.size(), kMostBytes))) {
    for (uint32_t i = 0; i < kInputs; ++i) x_[i] = static_cast<float>(i % 17) - 8.5f;
    const FloatModeScope float_mode;
    uint8_t finite = 1;
    kernels_.quantise(x(), {0, 1}, all_chunks(kInputs), line(quantised_), &finite);
  }

  // Of one matrix, the next in memory.
  double gb_s(uint8_t bits) {
    const MatrixFormat format{WeightType::kUnsigned, bits, 64, ScaleType::kBf16};
    const size_t bytes = packed_bytes(format, kOutputs, kInputs);
    const PackedMatrix matrix{format, kOutputs, kInputs, memory_.data() + next_++ % (memory_.size() / bytes) * bytes};
    const double start = Clock::real().now_s();
    pool_.run([&](uint32_t thread) {
      kernels_.matmul(matrix, {x(), line(quantised_)}, split(matrix.num_panels(), thread, pool_.num_threads()),
                      {y_.data(), 1, kOutputs, kOutputs}, line(scratch_) + thread * scratch_bytes_);
    });
    return static_cast<double>(bytes) / (Clock::real().now_s() - start) * 1e-9;
  }

 private:
  Matrix<const float> x() const { return {x_.data(), 1, kInputs, kInputs}; }
  static std::byte* line(std::vector<std::byte>& bytes) {
    void* at = bytes.data();
    size_t room = bytes.size();
    return static_cast<std::byte*>(std::align(64, 64, at, room));
  }

  ThreadPool& pool_;
  const Kernels& kernels_;
  const std::span<const std::byte> memory_;
  const size_t scratch_bytes_ = round_up(matmul_scratch_bytes(1, kInputs), 4096);
  std::vector<float> x_ = std::vector<float>(kInputs);
  std::vector<std::byte> quantised_ = std::vector<std::byte>(kernels_.quantised_bytes(1, kInputs) + 64);
  std::vector<std::byte> scratch_ = std::vector<std::byte>(scratch_bytes_ * pool_.num_threads() + 64);
  std::vector<float> y_ = std::vector<float>(kOutputs);
  size_t next_ = 0;
};

// "model name", "cpu family" ... of the first processor.
std::string processor_field(const std::string& name) {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line) && !line.empty()) {
    const size_t colon = line.find(':');
    const std::string_view field = std::string_view(line).substr(0, line.find_first_of("\t:"));
    if (field == name && colon != std::string::npos && colon + 2 < line.size()) return line.substr(colon + 2);
  }
  return "?";
}

nlohmann::json read_tunings(const std::string& path) {
  const auto text = read_text_file(path, kMaxFileBytes);
  if (!text.ok()) return nlohmann::json::object();
  nlohmann::json tunings = nlohmann::json::parse(*text, nullptr, false);
  return tunings.is_object() ? tunings : nlohmann::json::object();
}

constexpr const char* k4Bits = "4 bits";
constexpr const char* k8Bits = "8 bits";

nlohmann::json json_of(const StreamTuning& tuning) {
  return {{"streams", tuning.streams}, {"prefetch_bytes", tuning.prefetch_bytes}};
}

std::optional<StreamTuning> read_tuning(const nlohmann::json& machine, const char* bits) {
  const auto found = machine.find(bits);
  if (found == machine.end() || !found->is_object()) return std::nullopt;
  StreamTuning tuning;
  const std::pair<const char*, uint32_t*> fields[] = {{"streams", &tuning.streams},
                                                      {"prefetch_bytes", &tuning.prefetch_bytes}};
  for (const auto& [name, value] : fields) {
    const auto number = found->find(name);
    if (number == found->end() || !number->is_number_unsigned() || *number > kMostBytes) return std::nullopt;
    *value = number->get<uint32_t>();
  }
  const bool is_candidate = std::ranges::count(kStreams, tuning.streams) == 1 &&
                            std::ranges::count(kPrefetchBytes, tuning.prefetch_bytes) == 1;
  return is_candidate ? std::optional(tuning) : std::nullopt;
}

}  // namespace

TunedStreams measure_streams(ThreadPool& pool, Isa isa, std::span<const std::byte> memory) {
  const StreamTunings in_force = stream_tunings();
  StreamBench bench(pool, isa, memory);
  std::vector<StreamTuning> candidates;
  for (const uint32_t streams : kStreams) {
    for (const uint32_t bytes : kPrefetchBytes) candidates.push_back({streams, bytes});
  }
  // All candidates in turn, again and again: memory's speed drifts, and each gets its share of good and bad times.
  std::vector<std::vector<double>> of_4_bits(candidates.size()), of_8_bits(candidates.size());
  for (int round = 0; round < kRounds; ++round) {
    for (size_t i = 0; i < candidates.size(); ++i) {
      set_stream_tunings({candidates[i], candidates[i]});
      of_4_bits[i].push_back(bench.gb_s(4));
      of_8_bits[i].push_back(bench.gb_s(8));
    }
  }
  set_stream_tunings(in_force);
  TunedStreams measured;
  for (size_t i = 0; i < candidates.size(); ++i) {
    measured.of_4_bits.push_back({candidates[i], median(of_4_bits[i])});
    measured.of_8_bits.push_back({candidates[i], median(of_8_bits[i])});
  }
  return measured;
}

StreamTuning best_of(std::span<const TunedStream> measured) {
  const auto best = std::ranges::max_element(measured, {}, &TunedStream::gb_s);
  const auto usual = std::ranges::find(measured, StreamTuning(), &TunedStream::tuning);
  if (best == measured.end()) return {};
  return usual != measured.end() && best->gb_s < usual->gb_s * kWorthIt ? StreamTuning() : best->tuning;
}

StreamTunings best_of(const TunedStreams& measured) {
  return {best_of(measured.of_4_bits), best_of(measured.of_8_bits)};
}

std::string machine_name(Isa isa, uint32_t num_threads) {
  return fmt::format("{} {}/{}/{}, {}, {} threads", processor_field("model name"), processor_field("cpu family"),
                     processor_field("model"), processor_field("stepping"), isa_name(isa), num_threads);
}

std::optional<TuningFile> TuningFile::of_this_user() {
  std::string folder;
  if (const char* cache = ::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache == '/') {
    folder = cache;
  } else if (const char* home = ::getenv("HOME"); home != nullptr && *home == '/') {
    folder = std::string(home) + "/.cache";
  } else {
    return std::nullopt;
  }
  return TuningFile(folder + "/slipstream/tuning.json");
}

std::optional<StreamTunings> TuningFile::find(const std::string& machine) const {
  const nlohmann::json tunings = read_tunings(path_);
  const auto found = tunings.find(machine);
  if (found == tunings.end() || !found->is_object()) return std::nullopt;
  const auto of_4_bits = read_tuning(*found, k4Bits), of_8_bits = read_tuning(*found, k8Bits);
  if (!of_4_bits || !of_8_bits) return std::nullopt;
  return StreamTunings{*of_4_bits, *of_8_bits};
}

Status TuningFile::remember(const std::string& machine, const StreamTunings& tunings) const {
  nlohmann::json all = read_tunings(path_);
  all[machine] = {{k4Bits, json_of(tunings.of_4_bits)}, {k8Bits, json_of(tunings.of_8_bits)}};
  std::error_code fault;
  std::filesystem::create_directories(std::filesystem::path(path_).parent_path(), fault);
  // Under another name and renamed: another process reads the old file or the new one.
  const std::string written = fmt::format("{}.{}", path_, ::getpid());
  std::ofstream file(written);
  file << all.dump(1) << '\n';
  file.close();
  if (!file) return outside("{} cannot be written", written);
  std::filesystem::rename(written, path_, fault);
  if (fault) return outside("{} cannot be written: {}", path_, fault.message());
  return ok_status();
}

void tune_for_weights(ThreadPool& pool, Isa isa, std::span<const std::byte> weights) {
  if (weights.size() < kFewestBytes) return;
  const std::string machine = machine_name(isa, pool.num_threads());
  const std::optional<TuningFile> file = TuningFile::of_this_user();
  if (file) {
    if (const auto remembered = file->find(machine)) return set_stream_tunings(*remembered);
  }
  const StreamTunings best = best_of(measure_streams(pool, isa, weights));
  set_stream_tunings(best);
  const Status status = file ? file->remember(machine, best) : outside("HOME is not set");
  LOG_INFO("reading weights of 4 and 8 bits in {} and {} streams, {} and {} bytes ahead: measured, and {}",
           best.of_4_bits.streams, best.of_8_bits.streams, best.of_4_bits.prefetch_bytes, best.of_8_bits.prefetch_bytes,
           status.ok() ? "remembered in " + file->path() : "not remembered: " + status.error().message);
}

}  // namespace slipstream
