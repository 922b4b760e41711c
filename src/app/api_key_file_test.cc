#include "app/api_key_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdio>
#include <fstream>

#include "server/api_keys.h"

namespace slipstream {
namespace {

class ApiKeyFile : public testing::Test {
 protected:
  Status read(const std::string& content, mode_t mode = 0600) {
    std::ofstream(path_, std::ios::trunc) << content;
    EXPECT_EQ(chmod(path_.c_str(), mode), 0);
    return read_api_key_file(path_, keys_, warnings_);
  }
  void TearDown() override { std::remove(path_.c_str()); }

  const std::string path_ =
      testing::TempDir() + "api_key_file_test_" + testing::UnitTest::GetInstance()->current_test_info()->name();
  std::vector<std::string> keys_;
  std::vector<std::string> warnings_;
};
using Keys = std::vector<std::string>;

TEST_F(ApiKeyFile, each_line_is_a_key_but_empty_ones_and_remarks) {
  keys_ = {"before"};
  EXPECT_TRUE(read("# for the team\n\nfirst\r\n  second \n#third\nfourth#4").ok());
  EXPECT_EQ(keys_, (Keys{"before", "first", "second", "fourth#4"}));
  EXPECT_TRUE(warnings_.empty());
}

TEST_F(ApiKeyFile, a_file_without_a_key_is_refused) {
  keys_ = {"before"};
  for (const char* content : {"", "\n\n", "# nothing yet\n"}) {
    const Status status = read(content);
    ASSERT_FALSE(status.ok());
    EXPECT_NE(status.error().message.find("has no key"), std::string::npos) << status.error().message;
  }
  EXPECT_EQ(read_api_key_file("/no/such/file", keys_, warnings_).error().kind, ErrorKind::kNotFound);
}

TEST_F(ApiKeyFile, a_wrong_key_is_named_by_its_line_and_not_shown) {
  const Status status = read("good\nnot good\n");
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("line 2: "), std::string::npos) << status.error().message;
  EXPECT_EQ(status.error().message.find("not good"), std::string::npos) << status.error().message;
  EXPECT_FALSE(read(std::string(kMostKeyBytes + 1, 'k')).ok());
}

TEST_F(ApiKeyFile, what_all_may_write_is_refused_and_what_all_may_read_is_warned_of) {
  EXPECT_FALSE(read("key", 0602).ok());
  EXPECT_TRUE(read("key", 0644).ok());
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_NE(warnings_[0].find("can be read by every user"), std::string::npos);
  EXPECT_EQ(warnings_[0].find("key'"), std::string::npos);
}

}  // namespace
}  // namespace slipstream
