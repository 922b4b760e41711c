// Checkpoints that are wrong end in an Error of one line, through open_checkpoint() and load_checkpoint().
#include <gtest/gtest.h>

#include <fstream>

#include "base/memory.h"
#include "files/test_files.h"
#include "hostile/hostile_checkpoints.h"
#include "model/checkpoint.h"

namespace slipstream {
namespace {

// "" when it was read.
std::string error_of(const std::string& path) {
  const auto checkpoint = open_checkpoint(path);
  if (!checkpoint.ok()) return checkpoint.error().message;
  ThreadPool pool(1);
  const auto weights = load_checkpoint(*checkpoint, pool, {});
  return weights.ok() ? "" : weights.error().message;
}

TEST(Hostile, every_kind_of_wrong_checkpoint_is_refused_in_one_line) {
  const TempFolder folder;
  const uint64_t before = peak_resident_bytes();
  for (const HostileKind& kind : hostile_kinds()) {
    if (kind.large) continue;  // not a claim; program_test.cc has a limit for it
    SCOPED_TRACE(kind.name);
    const std::string path = folder.path(kind.name);
    make_hostile(kind, path);
    const std::string message = error_of(model_path(kind, path));
    if (kind.text) {
      EXPECT_EQ(message, "") << "its numbers are good";
      continue;
    }
    EXPECT_NE(message, "") << "was read";
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_TRUE(message.starts_with(path)) << message;
    EXPECT_LT(message.size(), path.size() + 500) << message;
    for (const std::string& fragment : kind.fragments)
      EXPECT_NE(message.find(fragment), std::string::npos) << message << "\nlacks: " << fragment;
  }
  EXPECT_GE(hostile_kinds().size(), 200u);
  // No claim became memory.
  EXPECT_LT(peak_resident_bytes() - before, (uint64_t{64} << 20) + sanitizer_bytes());
}

}  // namespace
}  // namespace slipstream
