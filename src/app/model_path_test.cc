#include "app/model_path.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "files/test_files.h"

namespace slipstream {
namespace {

class ModelPathTest : public testing::Test {
 protected:
  ModelPathTest() {
    environment_.hf_hub_cache = folder_.path();
    const std::string repository = folder_.path("models--org--name");
    std::filesystem::create_directories(repository + "/refs");
    std::filesystem::create_directories(repository + "/snapshots/abc");
    write_file(repository + "/refs/main", "abc");
    write_file(repository + "/snapshots/abc/config.json", "{}");
    write_file(repository + "/snapshots/abc/model.safetensors", "x");
  }

  const TempFolder folder_;
  HubEnvironment environment_;
};

TEST_F(ModelPathTest, a_path_is_itself_and_called_by_its_own_name) {
  const auto found = find_model(folder_.path("models--org--name/"), environment_);
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_EQ(found->path, folder_.path("models--org--name/"));
  EXPECT_EQ(found->name, "models--org--name");
}

TEST_F(ModelPathTest, a_hubs_name_is_its_snapshot_and_called_by_that_name) {
  for (const char* model : {"org/name", "org/name@main", "org/name@abc"}) {
    const auto found = find_model(model, environment_);
    ASSERT_TRUE(found.ok()) << found.error().message;
    EXPECT_EQ(found->path, folder_.path("models--org--name/snapshots/abc"));
    EXPECT_EQ(found->name, "org/name");
  }
}

TEST_F(ModelPathTest, a_path_that_exists_goes_before_a_hubs_name) {
  const TempFolder here;
  std::filesystem::create_directories(here.path("org/name"));
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(here.path());
  const auto found = find_model("org/name", environment_);
  std::filesystem::current_path(before);
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_EQ(found->path, "org/name");
  EXPECT_EQ(found->name, "name");
}

TEST_F(ModelPathTest, what_is_neither_is_told_with_both_meanings) {
  const auto message = [&](const std::string& model) { return find_model(model, environment_).error().message; };
  EXPECT_EQ(message("no/such"), "there is no folder or file 'no/such', and no/such is not in the hub's cache (" +
                                    folder_.path() + "); `hf download no/such` gets it");
  EXPECT_EQ(message("/no/such"),
            "'/no/such' is neither a folder nor a file, nor a name in the hub's cache (ORG/NAME). MODEL is a folder "
            "with config.json and safetensors, or one .gguf file, or such a name");
  environment_ = {};
  EXPECT_NE(message("no/such").find("where the hub's cache is says neither HF_HUB_CACHE nor HF_HOME nor HOME"),
            std::string::npos);
}

}  // namespace
}  // namespace slipstream
