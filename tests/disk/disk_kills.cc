// disk_kills [--kills N] [--seed S]: a child writes blocks into a folder, as fast as it can and with old ones making
// room, and is killed at a random moment, N times. After each, whatever is in the folder is read: every block there is
// must be whole and right, and the next child goes on in the same folder.
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "disk/disk_cache.h"
#include "disk/test_folder.h"

namespace slipstream {
namespace {

constexpr uint64_t kNumBlocks = 16;  // different ones
constexpr size_t kBlockBytes = 3'000'000;

DiskCacheOptions test_options() {
  // 6 blocks: most writes remove another.
  return {.max_bytes = 6 * kBlockBytes,
          .space = test_space(),
          .max_block_bytes = kBlockBytes,
          .secret = test_secret(),
          .buffer_bytes = 4 * kBlockBytes};
}

// Every third is the end of a sequence: the ends replace one another.
TestBlock block_of(uint64_t number) {
  TestBlock block(number, number % 3 == 0 ? 5 : 8, kBlockBytes - 1000 * (number % 7));
  if (number % 3 == 0) block.tokens[0] = 1;
  return block;
}

std::unique_ptr<DiskCache> open(const TestFolder& folder) {
  return open_disk_cache(folder.path(), test_options());
}

[[noreturn]] void write_for_ever(const TestFolder& folder, const std::vector<TestBlock>& blocks, uint64_t seed) {
  const auto cache = open(folder);
  for (uint64_t i = 0;; ++i) {
    const TestBlock& block = blocks[splitmix64(seed, i) % blocks.size()];
    if (i % 5 == 0) cache->ask(block.name(), BlockStore::Use::kNow);
    while (cache->next_found()) {}
    const auto place = cache->begin_write(block.name(), block.bytes.size(), BlockStore::Use::kNow);
    if (place.empty()) {
      cache->wait_to_write();
      continue;
    }
    std::memcpy(place.data(), block.bytes.data(), block.bytes.size());
    cache->end_write();
  }
}

void wait_us(uint64_t us) {
  const timespec time{static_cast<time_t>(us / 1'000'000), static_cast<long>(us % 1'000'000 * 1000)};
  ::ppoll(nullptr, 0, &time, nullptr);
}

struct Seen {
  uint64_t num_kills = 0;
  uint64_t num_blocks = 0;
  uint64_t num_unfinished = 0;  // kills in the middle of a file
  uint64_t num_wrong = 0;
};

bool is_same(const BlockStore::Found& found, const TestBlock& block) {
  return std::ranges::equal(found.tokens, block.tokens) && std::ranges::equal(found.bytes, block.bytes);
}

// What the next process finds.
void look(const TestFolder& folder, const std::vector<TestBlock>& blocks, Seen& seen) {
  seen.num_unfinished += std::filesystem::exists(folder.path("unfinished")) ? 1 : 0;
  const auto cache = open(folder);
  const uint64_t num_there = cache->counts().blocks;
  uint64_t num_read = 0;
  bool has_end = false;
  for (const TestBlock& block : blocks) {
    const bool is_end = block.tokens.size() < 8;
    if (is_end && std::exchange(has_end, true)) continue;  // one name for all ends
    if (!cache->ask(block.name(), BlockStore::Use::kNow)) continue;
    cache->settle();
    const auto found = cache->next_found();
    const bool is_right = found && std::ranges::any_of(blocks, [&](const TestBlock& one) {
                            return is_same(*found, one) && (is_end || &one == &block);
                          });
    seen.num_wrong += is_right ? 0 : 1;
    ++num_read;
  }
  seen.num_blocks += num_read;
  seen.num_wrong += num_there - num_read + cache->counts().errors;  // a kill leaves nothing damaged either
}

int run(uint64_t num_kills, uint64_t seed) {
  const TestFolder folder;
  std::vector<TestBlock> blocks;
  for (uint64_t i = 0; i < kNumBlocks; ++i) blocks.push_back(block_of(i));
  Seen seen;
  // Some more where chance would have it that none came in the middle of a file.
  for (uint64_t kill = 0; kill < num_kills || (seen.num_unfinished == 0 && kill < 10 * num_kills); ++kill) {
    ++seen.num_kills;
    const pid_t child = ::fork();
    CHECK(child >= 0, "fork: {}", std::strerror(errno));
    if (child == 0) write_for_ever(folder, blocks, splitmix64(seed, kill));
    wait_us(splitmix64(seed + 1, kill) % 40'000);
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the child ended by itself: {}", status);
    look(folder, blocks, seen);
    if (seen.num_wrong > 0) {
      std::fprintf(stderr, "after kill %llu of --seed %llu: %llu wrong\n", static_cast<unsigned long long>(kill),
                   static_cast<unsigned long long>(seed), static_cast<unsigned long long>(seen.num_wrong));
      return 1;
    }
  }
  std::printf("%llu kills, %llu of them in the middle of a file; %llu blocks read, all right\n",
              static_cast<unsigned long long>(seen.num_kills), static_cast<unsigned long long>(seen.num_unfinished),
              static_cast<unsigned long long>(seen.num_blocks));
  return seen.num_blocks > 0 && seen.num_unfinished > 0 ? 0 : 1;  // else this shows nothing
}

}  // namespace
}  // namespace slipstream

int main(int argc, char** argv) {
  uint64_t num_kills = 40;
  uint64_t seed = 1;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--kills") == 0) num_kills = std::strtoull(argv[i + 1], nullptr, 10);
    if (std::strcmp(argv[i], "--seed") == 0) seed = std::strtoull(argv[i + 1], nullptr, 10);
  }
  return slipstream::run(num_kills, seed);
}
