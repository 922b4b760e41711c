// What loading a model costs, beside what reading its files costs:
//
//   load_bench MODEL|dummy:SHAPE[:SEED] [threads=2] [cold]
//
// Seconds, processor seconds (with threads=1: waiting threads spin) and MB/s of packing the weights, the highest
// resident memory meanwhile, and how the system's page cache has grown. `cold`: the files leave the page cache first.
// Its limits: the same files read once, cold or warm alike, 16 MB at a time into one buffer by one thread (read), and
// into new memory of their size (read into new memory), which is what a start from a file of packed weights would do.
#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <charconv>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/memory.h"
#include "model/checkpoint.h"

namespace slipstream {
namespace {

constexpr double kMega = 1e6;
constexpr size_t kReadBytes = size_t{16} << 20;

struct Options {
  std::string model;
  uint32_t threads = 2;
  bool cold = false;
};

std::vector<std::string> files_of(const std::string& model) {
  if (!std::filesystem::is_directory(model)) return {model};
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(model)) {
    if (entry.path().extension() == ".safetensors") files.push_back(entry.path().string());
  }
  return files;
}

void drop_from_cache(const std::vector<std::string>& files) {
  for (const std::string& file : files) {
    const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    ::fdatasync(fd);  // dirty pages would stay
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    ::close(fd);
  }
}

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

uint64_t page_cache_bytes() {
  std::ifstream file("/proc/meminfo");
  std::string word;
  while (file >> word && word != "Cached:") {
  }
  uint64_t kilobytes = 0;
  file >> kilobytes;
  return kilobytes * 1024;
}

// Seconds for all bytes of the files; into `memory`, or again and again into its first 16 MB.
double read_seconds(const std::vector<std::string>& files, std::span<std::byte> memory, bool keep) {
  const Clock clock = Clock::real();
  const double begin = clock.now_s();
  size_t place = 0;
  for (const std::string& file : files) {
    const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    while (true) {
      if (place + kReadBytes > memory.size()) place = 0;
      const ssize_t got = ::read(fd, memory.data() + place, kReadBytes);
      if (got <= 0) break;
      if (keep) place += static_cast<size_t>(got);
    }
    ::close(fd);
  }
  return clock.now_s() - begin;
}

Status run(const Options& options) {
  const bool dummy = options.model.starts_with("dummy:");
  const std::vector<std::string> files = dummy ? std::vector<std::string>{} : files_of(options.model);
  double file_bytes = 0;
  for (const std::string& file : files) file_bytes += static_cast<double>(std::filesystem::file_size(file));
  if (options.cold) drop_from_cache(files);

  const Clock clock = Clock::real();
  ThreadPool pool(options.threads);
  const uint64_t cache_before = page_cache_bytes();
  const double begin = clock.now_s();
  const double cpu_begin = cpu_seconds();
  Result<Checkpoint> checkpoint = Error{};
  if (dummy) {
    ASSIGN_OR_RETURN(const DummyName name, read_dummy_name(std::string_view(options.model).substr(6)));
    checkpoint = open_dummy(name);
  } else {
    checkpoint = open_checkpoint(options.model);
  }
  if (!checkpoint.ok()) return std::move(checkpoint.error());
  double packed = 0;
  {
    ASSIGN_OR_RETURN(const Weights weights, load_checkpoint(*checkpoint, pool, {}));
    const double seconds = clock.now_s() - begin;
    packed = static_cast<double>(weights.packed_bytes);
    const double total = static_cast<double>(checkpoint->tensors.total_bytes());
    const double peak = static_cast<double>(peak_resident_bytes());
    fmt::print("{}, {} threads, {}: {:.0f} MB in {:.2f} s ({:.2f} s of processor) = {:.0f} MB/s\n", options.model,
               options.threads, dummy ? "made" : options.cold ? "cold" : "warm", total / kMega, seconds,
               cpu_seconds() - cpu_begin, total / seconds / kMega);
    fmt::print("  packed {:.0f} MB, peak {:.0f} MB = packed x {:.3f} + {:.0f} MB, page cache {:+.0f} MB\n",
               packed / kMega, peak / kMega, peak / packed, (peak - packed) / kMega,
               (static_cast<double>(page_cache_bytes()) - static_cast<double>(cache_before)) / kMega);
  }
  if (dummy) return ok_status();
  for (const bool keep : {false, true}) {
    if (options.cold) drop_from_cache(files);
    ASSIGN_OR_RETURN(const Arena arena, Arena::make(keep ? static_cast<size_t>(file_bytes) + kReadBytes : kReadBytes));
    const double cpu_begin_read = cpu_seconds();
    const double seconds = read_seconds(files, {arena.data(), arena.size()}, keep);
    fmt::print("  {}: {:.2f} s ({:.2f} s of processor) = {:.0f} MB/s\n", keep ? "read into new memory" : "read",
               seconds, cpu_seconds() - cpu_begin_read, file_bytes / seconds / kMega);
  }
  return ok_status();
}

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "cold") {
      options.cold = true;
    } else if (argument.starts_with("threads=")) {
      std::from_chars(argument.data() + 8, argument.data() + argument.size(), options.threads);
    } else {
      options.model = argument;
    }
  }
  if (options.model.empty() || options.threads == 0) {
    fmt::print(stderr, "load_bench MODEL|dummy:SHAPE[:SEED] [threads=2] [cold]\n");
    return 2;
  }
  const Status status = run(options);
  if (!status.ok()) fmt::print(stderr, "{}\n", status.error().message);
  return status.ok() ? 0 : 1;
}

}  // namespace
}  // namespace slipstream

int main(int argc, char** argv) { return slipstream::main(argc, argv); }
