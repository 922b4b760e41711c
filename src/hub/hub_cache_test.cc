// Caches as `hf download` leaves them, built in a folder of the test's own.
#include "hub/hub_cache.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <vector>

namespace slipstream {
namespace {

namespace fs = std::filesystem;

constexpr const char* kCommit = "0123456789abcdef0123456789abcdef01234567";

class HubCacheTest : public testing::Test {
 protected:
  HubCacheTest() {
    std::string name = (fs::temp_directory_path() / "slipstream-hub-XXXXXX").string();
    CHECK(mkdtemp(name.data()) != nullptr, "{}", name);
    cache_ = name;
    write(repository() + "/refs/main", kCommit);
  }
  ~HubCacheTest() override { fs::remove_all(cache_); }

  std::string repository() const { return cache_ + "/models--org--name"; }
  std::string snapshot() const { return repository() + "/snapshots/" + kCommit; }

  static void write(const std::string& path, std::string_view text) {
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path) << text;
  }
  // As the hub's client does: the bytes among the blobs, a link in the snapshot.
  void add(const std::string& file, const std::string& commit = kCommit) {
    const std::string blob = std::to_string(++num_blobs_);
    write(repository() + "/blobs/" + blob, "bytes");
    const fs::path link = fs::path(repository()) / "snapshots" / commit / file;
    fs::create_directories(link.parent_path());
    fs::create_symlink(fs::path(repository() + "/blobs/" + blob).lexically_relative(link.parent_path()), link);
  }
  void add_all(const std::vector<std::string>& files) {
    for (const std::string& file : files) add(file);
  }

  Result<std::string> find(std::string_view name) const { return find_in_hub_cache(cache_, *parse_hub_name(name)); }
  std::string error(std::string_view name) const {
    const auto found = find(name);
    if (found.ok()) return "found " + found.value();
    EXPECT_EQ(found.error().message.find('\n'), std::string::npos) << found.error().message;
    return found.error().message;
  }

  std::string cache_;
  int num_blobs_ = 0;
};

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

TEST(HubCacheFolder, the_first_variable_that_is_set_counts) {
  HubEnvironment environment{"/a", "/b", "/c", "/d", "/users/e"};
  EXPECT_EQ(hub_cache_folder(environment), "/a");
  environment.hf_hub_cache = "";
  EXPECT_EQ(hub_cache_folder(environment), "/b");
  environment.huggingface_hub_cache = "";
  EXPECT_EQ(hub_cache_folder(environment), "/c/hub");
  environment.hf_home = "";
  EXPECT_EQ(hub_cache_folder(environment), "/d/huggingface/hub");
  environment.xdg_cache_home = "";
  EXPECT_EQ(hub_cache_folder(environment), "/users/e/.cache/huggingface/hub");
  environment.home = "";
  EXPECT_EQ(hub_cache_folder(environment), "");
}

TEST(HubCacheFolder, a_tilde_is_the_home_folder) {
  HubEnvironment environment;
  environment.home = "/users/e";
  environment.hf_home = "~/hf";
  EXPECT_EQ(hub_cache_folder(environment), "/users/e/hf/hub");
  environment.hf_hub_cache = "~";
  EXPECT_EQ(hub_cache_folder(environment), "/users/e");
  environment.hf_hub_cache = "/x/~y";
  EXPECT_EQ(hub_cache_folder(environment), "/x/~y");
}

TEST_F(HubCacheTest, a_model_in_one_safetensors_file) {
  add_all({"config.json", "model.safetensors", "tokenizer.json"});
  EXPECT_EQ(find("org/name").value(), snapshot());
}

TEST_F(HubCacheTest, a_model_in_shards) {
  add_all({"config.json", "model.safetensors.index.json", "model-00001-of-00002.safetensors",
       "model-00002-of-00002.safetensors", "original/consolidated.00.pth"});
  EXPECT_EQ(find("org/name").value(), snapshot());
}

TEST_F(HubCacheTest, copies_instead_of_links_are_as_good) {
  write(snapshot() + "/config.json", "{}");
  write(snapshot() + "/model.safetensors", "x");
  EXPECT_EQ(find("org/name").value(), snapshot());
}

TEST_F(HubCacheTest, other_revisions_by_name_and_by_commit) {
  add("config.json", "abc");
  add("model.safetensors", "abc");
  write(repository() + "/refs/refs/pr/3", "abc\n");
  const std::string path = repository() + "/snapshots/abc";
  EXPECT_EQ(find("org/name@refs/pr/3").value(), path);
  EXPECT_EQ(find("org/name@abc").value(), path);
  EXPECT_EQ(error("org/name@v2"), "org/name is in the hub's cache (" + cache_ +
                                      "), but its revision v2 is not (there: main, refs); `hf download org/name "
                                      "--revision v2` gets it");
}

TEST_F(HubCacheTest, what_is_not_there_says_how_to_get_it) {
  const auto found = find("org/other");
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(found.error().message,
            "org/other is not in the hub's cache (" + cache_ + "); `hf download org/other` gets it");
}

TEST_F(HubCacheTest, a_download_that_is_not_complete_is_told_with_what_it_lacks) {
  EXPECT_TRUE(has(error("org/name"), "is not complete, it lacks its snapshot 0123")) << error("org/name");
  add("config.json");
  EXPECT_TRUE(has(error("org/name"), "neither safetensors nor .gguf files")) << error("org/name");
  write(repository() + "/blobs/77.incomplete", "by");
  EXPECT_EQ(error("org/name"), "org/name: its download into " + cache_ +
                                   " is not complete, it lacks a file with weights; `hf download org/name` goes on "
                                   "with it");
  add("model-00002-of-00003.safetensors");
  EXPECT_TRUE(has(error("org/name"), "lacks model.safetensors.index.json, model-00001-of-00003.safetensors, "
                                     "model-00003-of-00003.safetensors, tokenizer.json; "))
      << error("org/name");
  add_all({"model.safetensors.index.json", "model-00001-of-00003.safetensors", "model-00003-of-00003.safetensors"});
  EXPECT_TRUE(has(error("org/name"), "lacks tokenizer.json; ")) << error("org/name");
  add("tokenizer.json");
  EXPECT_EQ(find("org/name").value(), snapshot());  // what else is under way does not matter
}

TEST_F(HubCacheTest, an_index_without_a_shard_is_not_complete) {
  add_all({"config.json", "model.safetensors.index.json"});
  EXPECT_TRUE(has(error("org/name"), "lacks every shard of its index")) << error("org/name");
}

TEST_F(HubCacheTest, a_link_that_leads_nowhere_is_not_there) {
  add_all({"config.json", "model.safetensors"});
  fs::remove(repository() + "/blobs/2");
  EXPECT_TRUE(has(error("org/name"), "lacks model.safetensors; ")) << error("org/name");
}

TEST_F(HubCacheTest, the_only_gguf_model_is_the_model) {
  add_all({"README.md", "config.json", "x-Q8_0.gguf", "mmproj-x-F16.gguf"});
  EXPECT_EQ(find("org/name").value(), snapshot() + "/x-Q8_0.gguf");
  EXPECT_EQ(find("org/name:Q8").value(), snapshot() + "/x-Q8_0.gguf");
  EXPECT_TRUE(has(error("org/name:Q4"), "no .gguf file has Q4 in its name; there are x-Q8_0.gguf"));
}

TEST_F(HubCacheTest, a_split_gguf_model_counts_as_one) {
  add_all({"Q8_0/x-00001-of-00002.gguf", "Q8_0/x-00002-of-00002.gguf"});
  EXPECT_EQ(find("org/name").value(), snapshot() + "/Q8_0/x-00001-of-00002.gguf");
  fs::remove(snapshot() + "/Q8_0/x-00001-of-00002.gguf");
  EXPECT_TRUE(has(error("org/name"), "lacks Q8_0/x-00001-of-00002.gguf; ")) << error("org/name");
}

TEST_F(HubCacheTest, of_several_gguf_models_one_must_be_picked) {
  add_all({"x-F16.gguf", "x-Q4_0.gguf", "x-Q8_0.gguf"});
  EXPECT_EQ(error("org/name"), "org/name has 3 .gguf models: x-F16.gguf, x-Q4_0.gguf, x-Q8_0.gguf; give a part of "
                               "one's name (org/name:PART), or its path in " + snapshot());
  EXPECT_EQ(find("org/name:Q8_0").value(), snapshot() + "/x-Q8_0.gguf");
  EXPECT_TRUE(has(error("org/name:Q"), "has 2 .gguf models: x-Q4_0.gguf, x-Q8_0.gguf; "));
}

TEST_F(HubCacheTest, safetensors_go_before_gguf_unless_one_is_picked) {
  add_all({"config.json", "model.safetensors", "x.gguf"});
  EXPECT_EQ(find("org/name").value(), snapshot());
  EXPECT_EQ(find("org/name:x").value(), snapshot() + "/x.gguf");
}

TEST_F(HubCacheTest, a_ref_that_is_no_commit_is_refused) {
  add_all({"config.json", "model.safetensors"});
  for (const std::string& text : {std::string(), std::string("\n"), std::string("../../../etc"), std::string("a/b"),
                                  std::string("."), std::string(65, 'a'), std::string(1 << 20, 'a')}) {
    write(repository() + "/refs/main", text);
    EXPECT_TRUE(has(error("org/name"), "is not the name of a commit")) << text.substr(0, 100);
  }
}

TEST_F(HubCacheTest, names_that_would_break_a_line_are_passed_over) {
  write(snapshot() + "/a\nb.gguf", "x");
  EXPECT_TRUE(has(error("org/name"), "neither safetensors nor .gguf files")) << error("org/name");
}

}  // namespace
}  // namespace slipstream
