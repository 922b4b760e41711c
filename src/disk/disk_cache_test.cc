#include "disk/disk_cache.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>

#include "disk/test_folder.h"

namespace slipstream {
namespace {

constexpr size_t kBlockBytes = 1000;

using Use = BlockStore::Use;

DiskCacheOptions test_options() {
  return {.max_bytes = 1u << 20,
          .space = test_space(),
          .max_block_bytes = kBlockBytes,
          .secret = test_secret(),
          .buffer_bytes = 1u << 20};
}

std::unique_ptr<DiskCache> open(const TestFolder& folder, const DiskCacheOptions& options = test_options()) {
  return open_disk_cache(folder.path(), options);
}

bool put(DiskCache& cache, const TestBlock& block, Use use = Use::kNow) {
  const auto place = cache.begin_write(block.name(), block.bytes.size(), use);
  if (place.empty()) return false;
  std::ranges::copy(block.bytes, place.begin());
  cache.end_write();
  cache.settle();
  return true;
}

// The block comes back, and is what it was.
bool get(DiskCache& cache, const TestBlock& block, Use use = Use::kNow) {
  if (!cache.ask(block.name(), use)) return false;
  cache.settle();
  const auto found = cache.next_found();
  EXPECT_TRUE(found);
  const bool is_there = found && !found->bytes.empty();
  if (is_there) {
    EXPECT_TRUE(std::ranges::equal(found->bytes, block.bytes));
    EXPECT_TRUE(std::ranges::equal(found->tokens, block.tokens));
  }
  EXPECT_FALSE(cache.next_found());
  return is_there;
}

TEST(DiskCache, gives_a_block_back) {
  const TestFolder folder;
  const auto cache = open(folder);
  EXPECT_FALSE(get(*cache, TestBlock(1)));
  ASSERT_TRUE(put(*cache, TestBlock(1)));
  EXPECT_TRUE(cache->contains(chain_key(cache->secret(), TestBlock(1).name(), 8)));
  EXPECT_TRUE(get(*cache, TestBlock(1)));
  EXPECT_TRUE(get(*cache, TestBlock(1)));
  EXPECT_FALSE(get(*cache, TestBlock(2)));
  const DiskCounts counts = cache->counts();
  EXPECT_EQ(counts.blocks, 1u);
  EXPECT_EQ(counts.writes, 1u);
  EXPECT_EQ(counts.hits, 2u);
  EXPECT_EQ(counts.errors, 0u);
  EXPECT_EQ(counts.bytes, std::filesystem::file_size(folder.path(folder.blocks().front())));
}

TEST(DiskCache, outlives_its_process) {
  const TestFolder folder;
  put(*open(folder), TestBlock(1));
  const auto cache = open(folder);
  EXPECT_EQ(cache->counts().blocks, 1u);
  EXPECT_TRUE(get(*cache, TestBlock(1)));
}

TEST(DiskCache, writes_before_it_ends_what_was_given_to_it) {
  const TestFolder folder;
  {
    const auto cache = open(folder);
    for (uint64_t i = 0; i < 20; ++i) {
      const TestBlock block(i);
      std::ranges::copy(block.bytes, cache->begin_write(block.name(), block.bytes.size(), Use::kNow).begin());
      cache->end_write();
    }
  }
  EXPECT_EQ(folder.blocks().size(), 20u);
}

TEST(DiskCache, of_another_model_is_not_read) {
  const TestFolder folder;
  put(*open(folder), TestBlock(1));
  for (int i = 0; i < 3; ++i) {
    DiskCacheOptions other = test_options();
    if (i == 0) other.space.model[1] ^= 1;
    if (i == 1) ++other.space.arithmetic;
    if (i == 2) other.space.block_tokens = 16;
    const auto cache = open(folder, other);
    EXPECT_EQ(cache->counts().blocks, 0u);
    EXPECT_GT(cache->counts().bytes, 0u) << "its files count";
    EXPECT_FALSE(get(*cache, TestBlock(1)));
    // Nor when somebody gives it another name.
    const std::string file = folder.blocks().front();
    const ChainKey key = chain_key(cache->secret(), TestBlock(1).name(), other.space.block_tokens);
    std::filesystem::copy_file(folder.path(file), folder.path(block_file_name(other.space, key)));
  }
  DiskCacheOptions other = test_options();
  other.space.model[1] ^= 1;
  const auto cache = open(folder, other);
  EXPECT_EQ(cache->counts().blocks, 1u);
  EXPECT_FALSE(get(*cache, TestBlock(1)));
  EXPECT_EQ(cache->counts().errors, 1u);
  EXPECT_EQ(cache->counts().blocks, 0u);
}

TEST(DiskCache, never_has_more_than_its_bytes_and_drops_what_was_not_used_for_longest) {
  const TestFolder folder;
  put(*open(folder), TestBlock(0));
  const uint64_t file_bytes = std::filesystem::file_size(folder.path(folder.blocks().front()));
  DiskCacheOptions options = test_options();
  options.max_bytes = 3 * file_bytes + file_bytes / 2;
  {
    const auto cache = open(folder, options);
    for (uint64_t i = 1; i < 3; ++i) put(*cache, TestBlock(i));
    EXPECT_TRUE(get(*cache, TestBlock(0)));
    put(*cache, TestBlock(3));
    EXPECT_EQ(folder.blocks().size(), 3u);
    EXPECT_EQ(cache->counts().bytes, 3 * file_bytes);
    EXPECT_FALSE(get(*cache, TestBlock(1)));
    for (const uint64_t i : {0, 2, 3}) EXPECT_TRUE(get(*cache, TestBlock(i))) << i;
  }
  // And when it is given less at the next start.
  options.max_bytes = file_bytes;
  const auto cache = open(folder, options);
  EXPECT_EQ(folder.blocks().size(), 1u);
  EXPECT_TRUE(get(*cache, TestBlock(3)));
  options.max_bytes = file_bytes - 500;
  const TestFolder other;
  EXPECT_FALSE(DiskCache::open(CacheFolder::open(other.path()).value(), options).ok());
}

TEST(DiskCache, drops_old_files_of_other_models_too_and_nothing_else) {
  const TestFolder folder;
  put_file_content(folder.path("letter.txt"), std::string(5000, 'x'));
  {
    DiskCacheOptions other = test_options();
    other.space.model[0] ^= 1;
    put(*open(folder, other), TestBlock(1));
  }
  DiskCacheOptions options = test_options();
  options.max_bytes = std::filesystem::file_size(folder.path(folder.blocks().front()));
  const auto cache = open(folder, options);
  put(*cache, TestBlock(2));
  EXPECT_EQ(folder.blocks().size(), 1u);
  EXPECT_TRUE(get(*cache, TestBlock(2)));
  EXPECT_TRUE(std::filesystem::exists(folder.path("letter.txt")));
}

TEST(DiskCache, remembers_at_the_next_start_what_was_of_use_when) {
  const TestFolder folder;
  {
    const auto cache = open(folder);
    for (uint64_t i = 1; i < 5; ++i) put(*cache, TestBlock(i), i == 4 ? Use::kBeforeLast : Use::kNow);
    EXPECT_TRUE(get(*cache, TestBlock(2)));
    cache->refresh(chain_key(test_secret(), TestBlock(1).name(), 8), Use::kNow);
  }
  // 3, 4 (a little before 3), 2, 1: the last two are kept, then the last one.
  DiskCacheOptions options = test_options();
  const uint64_t file_bytes = std::filesystem::file_size(folder.path(folder.blocks().front()));
  options.max_bytes = 3 * file_bytes;
  EXPECT_FALSE(get(*open(folder, options), TestBlock(4)));
  options.max_bytes = file_bytes;
  const auto cache = open(folder, options);
  EXPECT_FALSE(get(*cache, TestBlock(2)));
  EXPECT_TRUE(get(*cache, TestBlock(1)));
}

// What is put in at shutdown comes newest first: the older must not push out the newer.
TEST(DiskCache, drops_what_was_of_use_before_all_that_is_there_when_there_is_no_room) {
  const TestFolder folder;
  put(*open(folder), TestBlock(0));
  DiskCacheOptions options = test_options();
  options.max_bytes = 3 * std::filesystem::file_size(folder.path(folder.blocks().front()));
  const auto cache = open(folder, options);
  put(*cache, TestBlock(1));
  for (uint64_t i = 2; i < 6; ++i) put(*cache, TestBlock(i), Use::kBeforeLast);
  EXPECT_EQ(folder.blocks().size(), 3u);
  for (const uint64_t i : {1, 2, 3}) EXPECT_TRUE(get(*cache, TestBlock(i))) << i;
  EXPECT_EQ(cache->counts().errors, 0u);
  put(*cache, TestBlock(6));
  EXPECT_TRUE(get(*cache, TestBlock(6)));
}

TEST(DiskCache, knows_what_is_newest_when_the_clock_has_gone_back) {
  const TestFolder folder;
  for (uint64_t i = 0; i < 2; ++i) put(*open(folder), TestBlock(i));
  for (const std::string& name : folder.blocks()) {
    const auto tomorrow = std::filesystem::file_time_type::clock::now() + std::chrono::hours(24);
    std::filesystem::last_write_time(folder.path(name), tomorrow);
  }
  DiskCacheOptions options = test_options();
  options.max_bytes = 2 * std::filesystem::file_size(folder.path(folder.blocks().front()));
  put(*open(folder, options), TestBlock(2));
  const auto cache = open(folder, options);
  EXPECT_TRUE(get(*cache, TestBlock(2)));
  put(*cache, TestBlock(3));
  EXPECT_TRUE(get(*cache, TestBlock(2)));
}

TEST(DiskCache, drops_a_child_before_its_parent) {
  const TestFolder folder;
  const TestBlock parent(1);
  TestBlock child(2);
  child.parent = chain_key(test_secret(), parent.name(), 8);
  {
    const auto cache = open(folder);
    put(*cache, parent);
    put(*cache, child);
    EXPECT_TRUE(get(*cache, parent));
    EXPECT_TRUE(get(*cache, child, Use::kBeforeLast));
    // Room for one more but not for two: one of the two has to go.
  }
  DiskCacheOptions options = test_options();
  options.max_bytes = 2 * std::filesystem::file_size(folder.path(folder.blocks().front()));
  const auto cache = open(folder, options);
  EXPECT_TRUE(get(*cache, parent));
  EXPECT_TRUE(get(*cache, child, Use::kBeforeLast));
  put(*cache, TestBlock(3));
  EXPECT_TRUE(get(*cache, parent));
  EXPECT_FALSE(get(*cache, child));
}

TEST(DiskCache, keeps_the_last_end_of_sequences_that_go_on_with_one_token) {
  const TestFolder folder;
  const auto cache = open(folder);
  TestBlock last(2, 3, 600);
  last.tokens[0] = TestBlock(1, 5).tokens[0];
  put(*cache, TestBlock(1, 5, 800));
  put(*cache, last);
  EXPECT_EQ(folder.blocks().size(), 1u);
  EXPECT_EQ(cache->counts().bytes, std::filesystem::file_size(folder.path(folder.blocks().front())));
  ASSERT_TRUE(cache->ask({{}, {}, std::span(last.tokens).first(1)}, Use::kNow));
  cache->settle();
  const auto found = cache->next_found();
  ASSERT_TRUE(found);
  EXPECT_TRUE(std::ranges::equal(found->tokens, last.tokens));
  EXPECT_TRUE(std::ranges::equal(found->bytes, last.bytes));
}

TEST(DiskCache, that_was_cleared_gives_nothing_back) {
  const TestFolder folder;
  const auto cache = open(folder);
  put(*cache, TestBlock(1));
  ASSERT_TRUE(cache->ask(TestBlock(1).name(), Use::kNow));
  const TestBlock late(2);
  std::ranges::copy(late.bytes, cache->begin_write(late.name(), late.bytes.size(), Use::kNow).begin());
  cache->end_write();
  cache->clear();
  cache->settle();
  const auto found = cache->next_found();
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->bytes.empty());
  EXPECT_FALSE(get(*cache, TestBlock(1)));
  EXPECT_FALSE(get(*cache, TestBlock(2)));
  EXPECT_TRUE(folder.blocks().empty());
  EXPECT_EQ(cache->counts().bytes, 0u);
  put(*cache, TestBlock(3));
  EXPECT_TRUE(get(*cache, TestBlock(3)));
}

TEST(DiskCache, says_no_when_its_buffers_are_full) {
  const TestFolder folder;
  DiskCacheOptions options = test_options();
  options.buffer_bytes = 0;  // two each
  const auto cache = open(folder, options);
  put(*cache, TestBlock(1));
  EXPECT_TRUE(cache->ask(TestBlock(1).name(), Use::kNow));
  EXPECT_TRUE(cache->ask(TestBlock(1).name(), Use::kNow));
  EXPECT_FALSE(cache->ask(TestBlock(1).name(), Use::kNow));
  cache->settle();
  EXPECT_TRUE(cache->next_found());
  EXPECT_FALSE(cache->ask(TestBlock(1).name(), Use::kNow)) << "the first is being looked at";
  EXPECT_TRUE(cache->next_found());
  EXPECT_TRUE(cache->ask(TestBlock(1).name(), Use::kNow));
}

// Damage of a file on the disk: counted, removed, and as if it had never been there.
TEST(DiskCache, does_not_give_back_what_was_damaged) {
  const TestFolder folder;
  const auto cache = open(folder);
  put(*cache, TestBlock(1));
  const std::string file = folder.path(folder.blocks().front());
  const std::string whole = file_content(file);
  uint64_t num_errors = 0;
  const auto expect_gone = [&](const std::string& content, const std::string& what) {
    put_file_content(file, content);
    EXPECT_FALSE(get(*cache, TestBlock(1))) << what;
    EXPECT_TRUE(folder.blocks().empty()) << what;
    EXPECT_EQ(cache->counts().errors, ++num_errors) << what;
    put(*cache, TestBlock(1));
    EXPECT_TRUE(get(*cache, TestBlock(1))) << what;
  };
  for (size_t place = 0; place < whole.size(); place += 13) {
    std::string damaged = whole;
    damaged[place] = static_cast<char>(damaged[place] ^ (1 << place % 8));
    expect_gone(damaged, fmt::format("bit {} of byte {}", place % 8, place));
  }
  for (size_t length = 0; length < whole.size(); length += 17) {
    expect_gone(whole.substr(0, length), fmt::format("{} bytes", length));
  }
  expect_gone(whole + "x", "one byte more");
  expect_gone(std::string(1u << 20, 'x'), "a megabyte");
}

TEST(DiskCache, does_not_miss_what_was_removed) {
  const TestFolder folder;
  const auto cache = open(folder);
  put(*cache, TestBlock(1));
  std::filesystem::remove(folder.path(folder.blocks().front()));
  EXPECT_FALSE(get(*cache, TestBlock(1)));
  EXPECT_FALSE(cache->contains(chain_key(cache->secret(), TestBlock(1).name(), 8)));
}

// A full disk: writes fail with EFBIG here, where the process may write no longer files.
TEST(DiskCache, goes_without_what_cannot_be_written) {
  const TestFolder folder;
  const auto cache = open(folder);
  put(*cache, TestBlock(1));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  for (const rlim_t limit : {rlim_t{0}, rlim_t{100}, rlim_t{500}}) {
    const rlimit little{limit, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &little), 0);
    const uint64_t num_errors = cache->counts().errors;
    put(*cache, TestBlock(2));
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_EQ(cache->counts().errors, num_errors + 1);
    EXPECT_FALSE(get(*cache, TestBlock(2)));
    EXPECT_TRUE(get(*cache, TestBlock(1)));
    EXPECT_EQ(folder.blocks().size(), 1u);
    EXPECT_FALSE(std::filesystem::exists(folder.path("unfinished")));
    uint32_t num_dropped = 0;
    while (!put(*cache, TestBlock(3))) ++num_dropped;
    EXPECT_EQ(num_dropped, 64u) << "the next are not even tried";
    EXPECT_TRUE(get(*cache, TestBlock(3)));
    const ChainKey third = chain_key(test_secret(), TestBlock(3).name(), 8);
    std::filesystem::remove(folder.path(block_file_name(test_space(), third)));
    EXPECT_FALSE(get(*cache, TestBlock(3)));
  }
}

TEST(DiskCache, of_a_second_process_is_refused_and_leaves_the_first_alone) {
  const TestFolder folder;
  const auto cache = open(folder);
  put(*cache, TestBlock(1));
  const auto second = CacheFolder::open(folder.path());
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().kind, ErrorKind::kUnavailable);
  EXPECT_TRUE(get(*cache, TestBlock(1)));
}

}  // namespace
}  // namespace slipstream
