// Good files with random bytes flipped, cut off anywhere, or with values exchanged: each is read, or refused in one
// line.
// A world is replayed by its seed and number, which every failure prints.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>

#include "files/test_files.h"
#include "model/checkpoint.h"

namespace slipstream {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kSeed = 20;
const std::string kOracles = std::string(SLIPSTREAM_TEST_DATA) + "/oracle/";

class Flipped : public testing::Test {
 protected:
  // Counts, and checks that a refusal is one line.
  void judge(const std::string& path) {
    const auto checkpoint = open_checkpoint(path);
    if (!checkpoint.ok()) return refused(checkpoint.error().message);
    const auto weights = load_checkpoint(*checkpoint, pool_, {});
    if (!weights.ok()) return refused(weights.error().message);
    ++num_read_;
  }
  void refused(const std::string& message) {
    ++num_refused_;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_FALSE(message.empty());
  }
  // 1 to 4 bytes of bytes[begin, end).
  std::string flip(std::string bytes, size_t begin, size_t end) {
    const uint64_t count = 1 + random_() % 4;
    for (uint64_t i = 0; i < count; ++i) bytes[begin + random_() % (end - begin)] = static_cast<char>(random_());
    return bytes;
  }
  void copy(const std::string& oracle) {
    for (const char* name : {"config.json", "generation_config.json", "model.safetensors"}) {
      std::filesystem::copy_file(kOracles + oracle + "/" + name, folder_.path(name),
                                 std::filesystem::copy_options::overwrite_existing);
    }
  }
  // A new file each time: an earlier one may still be mapped.
  void replace(const std::string& name, std::string_view bytes) {
    std::filesystem::remove(folder_.path(name));
    write_file(folder_.path(name), bytes);
  }

  TempFolder folder_;
  ThreadPool pool_{1};
  std::mt19937_64 random_{kSeed};
  uint32_t num_read_ = 0;
  uint32_t num_refused_ = 0;
};

TEST_F(Flipped, bytes_of_a_safetensors_header) {
  copy("qwen3-mlx-4bit-g64");
  const std::string good = read_file(folder_.path("model.safetensors"));
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, good.data(), 8);
  for (uint32_t world = 0; world < 1500; ++world) {
    SCOPED_TRACE(fmt::format("seed {} world {}", kSeed, world));
    replace("model.safetensors", flip(good, 0, 8 + header_bytes));
    judge(folder_.path());
  }
  EXPECT_GT(num_refused_, 1000u);
}

TEST_F(Flipped, bytes_of_a_config) {
  copy("llama-mlx-4bit-g64");
  const std::string good = read_file(folder_.path("config.json"));
  for (uint32_t world = 0; world < 1500; ++world) {
    SCOPED_TRACE(fmt::format("seed {} world {}", kSeed, world));
    replace("config.json", flip(good, 0, good.size()));
    judge(folder_.path());
  }
  EXPECT_GT(num_refused_, 500u);
}

TEST_F(Flipped, every_value_of_a_config_by_every_other_kind_of_value) {
  for (const char* oracle : {"llama-mlx-4bit-g64", "llama-untied-bf16"}) {
    SCOPED_TRACE(oracle);
    for (const auto& entry : std::filesystem::directory_iterator(kOracles + oracle)) {
      if (entry.path().filename().string().starts_with("model")) {
        std::filesystem::copy_file(entry.path(), folder_.path(entry.path().filename().string()),
                                   std::filesystem::copy_options::overwrite_existing);
      }
    }
    const Json good = Json::parse(read_file(kOracles + oracle + "/config.json")).flatten();
    for (const auto& [pointer, value] : good.items()) {
      for (const char* other : {"null", "\"64\"", "-1", "0", "1", "2.5", "1e30", "18446744073709551615", "true", "[]",
                                "[1]", "{}", "{\"a\":1}", "\"\\u0000\\n\""}) {
        SCOPED_TRACE(pointer + " = " + other);
        Json changed = good.unflatten();
        changed[Json::json_pointer(pointer)] = Json::parse(other);
        replace("config.json", changed.dump());
        judge(folder_.path());
      }
    }
  }
  EXPECT_GT(num_refused_, 300u);
  EXPECT_GT(num_read_, 50u) << "some keys change nothing, null means absent";
}

// Where the metadata, the tensors' descriptions and the data begin.
size_t gguf_data_begin(const std::string& path) {
  const auto file = open_gguf(path);
  CHECK(file.ok(), "{}", file.error().message);
  const std::byte* first = nullptr;
  size_t total = 0;
  for (const Tensor& tensor : file->tensors.tensors()) {
    if (first == nullptr || tensor.bytes.data() < first) first = tensor.bytes.data();
    total = std::max<size_t>(total, static_cast<size_t>(tensor.bytes.data() + tensor.bytes.size() - first));
  }
  return std::filesystem::file_size(path) - round_up(total, 32);
}

TEST_F(Flipped, bytes_of_a_gguf_front) {
  const std::string good = read_file(kOracles + "llama-gguf/model.gguf");
  const size_t front = gguf_data_begin(kOracles + "llama-gguf/model.gguf");
  for (uint32_t world = 0; world < 1500; ++world) {
    SCOPED_TRACE(fmt::format("seed {} world {}", kSeed, world));
    replace("x.gguf", flip(good, 0, front));
    judge(folder_.path("x.gguf"));
  }
  EXPECT_GT(num_refused_, 100u) << "most of the front is the text of tokens";
}

TEST_F(Flipped, bytes_of_a_gguf_front_without_the_long_lists) {
  // Metadata keys up to the tokens, and the descriptions of tensors behind the merges.
  const std::string good = read_file(kOracles + "llama-gguf/model.gguf");
  const size_t keys_end = good.find("tokenizer.ggml.tokens");
  const size_t infos_begin = good.find("tokenizer.ggml.bos_token_id");
  const size_t front = gguf_data_begin(kOracles + "llama-gguf/model.gguf");
  ASSERT_LT(infos_begin, front);
  for (uint32_t world = 0; world < 1500; ++world) {
    SCOPED_TRACE(fmt::format("seed {} world {}", kSeed, world));
    replace("x.gguf", world % 2 == 0 ? flip(good, 0, keys_end) : flip(good, infos_begin, front));
    judge(folder_.path("x.gguf"));
  }
  EXPECT_GT(num_refused_, 500u) << "the rest are counts and texts that may be anything";
}

TEST_F(Flipped, a_gguf_cut_off_anywhere_is_refused) {
  const std::string path = folder_.path("x.gguf");
  std::filesystem::copy_file(kOracles + "llama-gguf/model.gguf", path);
  const size_t whole = std::filesystem::file_size(path);
  const size_t front = gguf_data_begin(path);
  // Shorter and shorter: a few places in the data, then every third byte of the front.
  for (size_t size = whole - 64; size > front; size -= std::min<size_t>(size, 4096)) {
    std::filesystem::resize_file(path, size);
    EXPECT_FALSE(open_checkpoint(path).ok()) << size;
  }
  for (size_t size = front; size < front + 1; size -= 3) {
    std::filesystem::resize_file(path, size);
    const auto checkpoint = open_checkpoint(path);
    ASSERT_FALSE(checkpoint.ok()) << size;
    refused(checkpoint.error().message);
  }
  EXPECT_GT(num_refused_, 1000u);
}

}  // namespace
}  // namespace slipstream
