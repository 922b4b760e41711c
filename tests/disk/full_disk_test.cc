// The cache in a file system that is too small for it.
#include <gtest/gtest.h>
#include <sys/mount.h>

#include "disk/disk_cache.h"
#include "disk/test_folder.h"

namespace slipstream {
namespace {

constexpr size_t kBlockBytes = 20'000;

class SmallDisk {
 public:
  SmallDisk() : is_mounted_(::mount("none", folder_.path().c_str(), "tmpfs", 0, "size=128k,mode=0700") == 0) {}
  ~SmallDisk() {
    if (is_mounted_) ::umount2(folder_.path().c_str(), MNT_DETACH);
  }
  bool is_mounted() const { return is_mounted_; }
  const TestFolder& folder() const { return folder_; }

 private:
  TestFolder folder_;
  const bool is_mounted_;
};

TEST(FullDisk, costs_blocks_and_nothing_else) {
  const SmallDisk disk;
  if (!disk.is_mounted()) GTEST_SKIP() << "SKIPPED: no file system may be mounted here";
  const auto cache = open_disk_cache(disk.folder().path(), {.max_bytes = 1u << 30,
                                                            .space = test_space(),
                                                            .max_block_bytes = kBlockBytes,
                                                            .secret = test_secret(),
                                                            .buffer_bytes = 1u << 20});
  DiskCache& store = *cache;
  for (uint64_t i = 0; i < 500; ++i) {
    const TestBlock block(i, 8, kBlockBytes);
    const auto place = store.begin_write(block.name(), block.bytes.size(), BlockStore::Use::kNow);
    if (place.empty()) continue;
    std::ranges::copy(block.bytes, place.begin());
    store.end_write();
    store.settle();
  }
  const DiskCounts counts = store.counts();
  EXPECT_GE(counts.blocks, 4u);
  EXPECT_LE(counts.blocks, 6u);
  EXPECT_GT(counts.errors, 2u);
  EXPECT_LT(counts.errors, 12u) << "most are not even tried";
  uint64_t num_found = 0;
  for (uint64_t i = 0; i < 500; ++i) {
    const TestBlock block(i, 8, kBlockBytes);
    if (!store.ask(block.name(), BlockStore::Use::kNow)) continue;
    store.settle();
    const auto found = store.next_found();
    ASSERT_TRUE(found);
    EXPECT_TRUE(std::ranges::equal(found->bytes, block.bytes)) << i;
    ++num_found;
  }
  EXPECT_EQ(num_found, counts.blocks);
  EXPECT_FALSE(std::filesystem::exists(disk.folder().path("unfinished")));
}

}  // namespace
}  // namespace slipstream
