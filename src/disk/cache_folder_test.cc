#include "disk/cache_folder.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk/test_folder.h"

namespace slipstream {
namespace {

std::string error_of(const std::string& path) {
  const auto folder = CacheFolder::open(path);
  return folder.ok() ? "" : folder.error().message;
}

uint32_t mode_of(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
  return status.st_mode & 07777;
}

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

TEST(CacheFolder, is_made_for_its_owner_alone) {
  const TestFolder parent;
  const mode_t before = ::umask(0);
  {
    auto folder = CacheFolder::open(parent.path("cache"));
    ASSERT_TRUE(folder.ok()) << folder.error().message;
    ASSERT_TRUE(folder->write("a", bytes_of("x"), 1).ok());
    ASSERT_TRUE(folder->secret(test_secret()).ok());
  }
  ::umask(before);
  EXPECT_EQ(mode_of(parent.path("cache")), 0700u);
  for (const char* name : {"a", "lock", "secret"}) EXPECT_EQ(mode_of(parent.path("cache/") + name), 0600u) << name;
}

TEST(CacheFolder, open_to_others_is_refused_in_words) {
  const TestFolder folder;
  for (const mode_t mode : {0701, 0710, 0704, 0720, 0755}) {
    ASSERT_EQ(::chmod(folder.path().c_str(), mode), 0);
    const auto opened = CacheFolder::open(folder.path());
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.error().kind, ErrorKind::kInvalid);
    EXPECT_NE(opened.error().message.find("chmod 700"), std::string::npos) << opened.error().message;
  }
  ASSERT_EQ(::chmod(folder.path().c_str(), 0700), 0);
  EXPECT_EQ(error_of(folder.path()), "");
}

TEST(CacheFolder, of_another_user_is_refused_in_words) {
  if (::geteuid() != 0) GTEST_SKIP() << "SKIPPED: only root can give a folder away";
  const TestFolder folder;
  ASSERT_EQ(::chown(folder.path().c_str(), 12345, 12345), 0);
  EXPECT_NE(error_of(folder.path()).find("belongs to another user (12345)"), std::string::npos)
      << error_of(folder.path());
}

TEST(CacheFolder, that_is_none_is_refused_in_words) {
  const TestFolder parent;
  put_file_content(parent.path("file"), "x");
  ASSERT_EQ(::symlink(parent.path().c_str(), parent.path("link").c_str()), 0);
  EXPECT_NE(error_of(parent.path("file")).find("is not a folder"), std::string::npos);
  EXPECT_NE(error_of(parent.path("link")).find("is not a folder"), std::string::npos);
  EXPECT_NE(error_of(parent.path("no/such")).find("cannot make the folder"), std::string::npos);
}

TEST(CacheFolder, has_one_process_at_a_time) {
  const TestFolder parent;
  {
    const auto first = CacheFolder::open(parent.path());
    ASSERT_TRUE(first.ok());
    const auto second = CacheFolder::open(parent.path());
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.error().kind, ErrorKind::kUnavailable);
    EXPECT_NE(second.error().message.find("another process"), std::string::npos);
  }
  EXPECT_EQ(error_of(parent.path()), "");
}

TEST(CacheFolder, keeps_its_secret) {
  const TestFolder parent;
  const auto secret = [&](uint64_t fresh) {
    auto folder = CacheFolder::open(parent.path());
    return folder->secret(test_secret(fresh)).value();
  };
  EXPECT_EQ(secret(1), test_secret(1));
  EXPECT_EQ(secret(2), test_secret(1));
  put_file_content(parent.path("secret"), std::string(31, 'x'));  // damaged: another one, and nothing is found any more
  EXPECT_EQ(secret(3), test_secret(3));
  EXPECT_EQ(secret(4), test_secret(3));
}

TEST(CacheFolder, gives_files_back_and_says_what_there_is) {
  const TestFolder parent;
  auto folder = CacheFolder::open(parent.path());
  ASSERT_TRUE(folder->write("a", bytes_of("first"), 1).ok());
  ASSERT_TRUE(folder->write("a", bytes_of("second"), 1'500'000'000'123'456'789).ok());
  std::array<std::byte, 6> into{};
  EXPECT_EQ(folder->read("a", into).value(), 6u);
  EXPECT_TRUE(std::ranges::equal(into, bytes_of("second")));
  EXPECT_EQ(folder->read("a", std::span(into).first(5)).error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(folder->read("b", into).error().kind, ErrorKind::kNotFound);
  ASSERT_EQ(::symlink(parent.path("a").c_str(), parent.path("link").c_str()), 0);
  EXPECT_FALSE(folder->read("link", into).ok());
  ASSERT_EQ(::mkfifo(parent.path("pipe").c_str(), 0600), 0);
  EXPECT_FALSE(folder->read("pipe", into).ok()) << "and does not wait for it";
  put_file_content(parent.path("unfinished"), "of a killed process");
  const auto files = folder->list();
  ASSERT_TRUE(files.ok());
  ASSERT_EQ(files->size(), 1u);
  EXPECT_EQ(files->front().name, "a");
  EXPECT_EQ(files->front().num_bytes, 6u);
  EXPECT_EQ(files->front().used_ns, 1'500'000'000'123'456'789);
  folder->touch("a", 1'500'000'001'000'000'000);
  EXPECT_EQ(folder->list()->front().used_ns, 1'500'000'001'000'000'000);
  folder->remove("a");
  EXPECT_EQ(folder->read("a", into).error().kind, ErrorKind::kNotFound);
}

}  // namespace
}  // namespace slipstream
