#include "cache/media_key.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "digest/sha256.h"
#include "cache/kv_ledger_holding.h"

namespace slipstream {
namespace {

ContentDigest digest_of(std::string_view bytes) { return Sha256().add(std::as_bytes(std::span(bytes))).finish(); }

ImageContent image_of(std::string_view bytes) { return {digest_of(bytes), 640, 480, "resize=448;mean=0.5;std=0.5"}; }

VideoContent video_of(std::string_view bytes) { return {image_of(bytes), 2.0, 64}; }

// def field(b): return struct.pack("<I", len(b)) + b
// image = [sha256(b"cat"), struct.pack("<I", 640), struct.pack("<I", 480), b"resize=448;mean=0.5;std=0.5"]
// video = image + [struct.pack("<d", 2.0), struct.pack("<I", 64)]
// adapter = [struct.pack("<QQ", 7, 8), sha256(b"cat")]
// struct.unpack("<QQ", hashlib.sha256(bytes([kind]) + b"".join(map(field, fields))).digest()[:16])    kind: 1, 2, 3
TEST(MediaKey, is_a_sha256_of_kind_and_fields) {
  EXPECT_EQ(image_key(image_of("cat")), (ExtraKey{0x670e63168c059f6c, 0xed42470ba8dada1f}));
  EXPECT_EQ(video_key(video_of("cat")), (ExtraKey{0x64135f727b1a4305, 0x8d63af7cdfc0a5b9}));
  EXPECT_EQ(adapter_key({7, 8}, digest_of("cat")), (ExtraKey{0xb9ea89980beba94c, 0x41389a463650154d}));
}

void expect_all_different(const std::vector<ExtraKey>& keys) {
  for (size_t left = 0; left < keys.size(); ++left) {
    for (size_t right = 0; right < left; ++right) EXPECT_NE(keys[left], keys[right]) << left << " and " << right;
  }
}

TEST(MediaKey, every_field_changes_it) {
  const ImageContent cat = image_of("cat");
  ImageContent width = cat, height = cat, turned = cat, preprocessing = cat;
  width.width = 641;
  height.height = 481;
  std::swap(turned.width, turned.height);
  preprocessing.preprocessing = "resize=448;mean=0.5;std=0.25";
  VideoContent fps = video_of("cat"), more_frames = fps;
  fps.fps = 1.0;
  more_frames.max_frames = 65;
  std::vector<ExtraKey> keys{video_key(fps), video_key(more_frames)};
  for (const ImageContent& image : {cat, image_of("dog"), width, height, turned, preprocessing}) {
    keys.push_back(image_key(image));
    keys.push_back(video_key({image, 2.0, 64}));
  }
  for (const ExtraKey& base : {ExtraKey{7, 8}, {7, 9}, {8, 8}, {}}) {
    keys.push_back(adapter_key(base, digest_of("cat")));
    keys.push_back(adapter_key(base, digest_of("dog")));
  }
  expect_all_different(keys);
}

// What one kind's last field would have to spell so that the bytes behind the kind were another's.
TEST(MediaKey, no_kind_and_no_field_can_be_taken_for_another) {
  const VideoContent video = video_of("cat");
  const auto bytes_of = [](const auto& value) {
    return std::string(reinterpret_cast<const char*>(&value), sizeof value);
  };
  const std::string frames_text(video.frames.preprocessing);
  ImageContent bare = video.frames, with_lengths = video.frames;
  const std::string unprefixed = frames_text + bytes_of(video.fps) + bytes_of(video.max_frames);
  const std::string prefixed = frames_text + bytes_of(uint32_t{8}) + bytes_of(video.fps) + bytes_of(uint32_t{4}) +
                               bytes_of(video.max_frames);
  bare.preprocessing = unprefixed;
  with_lengths.preprocessing = prefixed;
  ImageContent none = video.frames;
  none.preprocessing = {};
  expect_all_different({video_key(video), image_key(video.frames), image_key(bare), image_key(with_lengths),
                        image_key(none), video_key({none, 0, 0}), video_key({bare, 0, 0})});
}

// In the ledger, in blocks of four. Text at 0 .. 5, what is seen at 6 .. 12 (all ids alike), text to 17:
//
//   block   0       | 1         | 2             | 3             | 4
//   token   0 1 2 3 | 4 5 (6) (7) (8) ...              (12) 13 ...
constexpr uint32_t kBegin = 6;
constexpr uint32_t kEnd = 13;
constexpr uint32_t kBefore = 4;  // tokens in blocks that hold nothing of it

std::vector<TokenId> prompt() {
  std::vector<TokenId> all = tokens(1, kBegin);
  all.resize(kEnd, 77);
  return joined(all, tokens(20, 5));
}

// How much is found of the prompt with this at [begin, end), where `remembered` at [kBegin, kEnd) has been computed.
uint32_t found_with(const ExtraKey& remembered, const ExtraKey& asked, uint32_t begin = kBegin, uint32_t end = kEnd) {
  KvLedger ledger(ledger_options(12));
  const RangeKey first[] = {{kBegin, kEnd, remembered}};
  const RangeKey second[] = {{begin, end, asked}};
  remember(ledger, prompt(), {{}, first});
  return found(ledger, prompt(), {{}, second});
}

TEST(MediaKeyInLedger, the_same_at_the_same_place_is_a_hit_across_the_borders_of_blocks) {
  EXPECT_EQ(found_with(image_key(image_of("cat")), image_key(image_of("cat"))), prompt().size() - 1);
  EXPECT_EQ(found_with(video_key(video_of("cat")), video_key(video_of("cat"))), prompt().size() - 1);
}

TEST(MediaKeyInLedger, anything_else_behind_the_same_tokens_is_not) {
  const ExtraKey cat = image_key(image_of("cat"));
  ImageContent larger = image_of("cat");
  larger.width = 1280;
  VideoContent slower = video_of("cat"), shorter = video_of("cat");
  slower.fps = 1;
  shorter.max_frames = 32;
  const ExtraKey video = video_key(video_of("cat"));
  EXPECT_EQ(found_with(cat, image_key(image_of("dog"))), kBefore);
  EXPECT_EQ(found_with(cat, image_key(larger)), kBefore);
  EXPECT_EQ(found_with(cat, video), kBefore);
  EXPECT_EQ(found_with(video, video_key(slower)), kBefore);
  EXPECT_EQ(found_with(video, video_key(shorter)), kBefore);
}

TEST(MediaKeyInLedger, nor_is_the_same_at_another_place) {
  const ExtraKey cat = image_key(image_of("cat"));
  EXPECT_EQ(found_with(cat, cat, kBegin + 1, kEnd + 1), kBefore);
  EXPECT_EQ(found_with(cat, cat, kBegin + 1), kBefore);
  EXPECT_EQ(found_with(cat, cat, kBegin, kEnd - 1), kBefore);
  EXPECT_EQ(found_with(cat, cat, kBegin - 4, kEnd - 4), 0u);
}

TEST(MediaKeyInLedger, two_in_one_block_count_each_for_itself_and_in_their_order) {
  const ExtraKey cat = image_key(image_of("cat")), dog = image_key(image_of("dog"));
  const std::vector<TokenId> all(11, 77);
  const RangeKey cat_dog[] = {{4, 6, cat}, {6, 8, dog}};
  const RangeKey dog_cat[] = {{4, 6, dog}, {6, 8, cat}};
  const RangeKey cats[] = {{4, 6, cat}, {6, 8, cat}};
  const RangeKey dogs[] = {{4, 6, dog}, {6, 8, dog}};
  const RangeKey long_cat[] = {{4, 8, cat}};
  KvLedger ledger(ledger_options(12));
  remember(ledger, all, {{}, cat_dog});
  EXPECT_EQ(found(ledger, all, {{}, cat_dog}), 10u);
  for (const std::span<const RangeKey> other : {std::span<const RangeKey>(dog_cat), {cats}, {dogs}, {long_cat}}) {
    EXPECT_EQ(found(ledger, all, {{}, other}), 4u);
  }
}

// Text at 0 .. 5, a picture at 6: the last block remembered is a tail of three tokens.
TEST(MediaKeyInLedger, what_is_copied_of_a_block_ends_before_what_differs) {
  const std::vector<TokenId> all = joined(tokens(1, kBegin), {77});
  const std::vector<TokenId> longer = joined(all, tokens(20, 4));
  const RangeKey cat[] = {{kBegin, kBegin + 1, image_key(image_of("cat"))}};
  const RangeKey dog[] = {{kBegin, kBegin + 1, image_key(image_of("dog"))}};
  KvLedger ledger(ledger_options(12));
  remember(ledger, all, {{}, cat});
  EXPECT_EQ(found(ledger, longer, {{}, cat}), 7u);
  EXPECT_LE(found(ledger, longer, {{}, dog}), kBegin);
  EXPECT_LE(found(ledger, longer), kBegin);  // the ids alone
  // The other way round: what was computed as text is not taken for a picture.
  remember(ledger, longer);
  EXPECT_EQ(found(ledger, longer), longer.size() - 1);
  EXPECT_EQ(found(ledger, longer, {{}, cat}), 7u);
  EXPECT_LE(found(ledger, longer, {{}, dog}), kBegin);
}

TEST(MediaKeyInLedger, an_adapter_keeps_all_apart_and_keeps_the_salt) {
  const ExtraKey salt{7, 8};
  const SequenceKeys plain{salt}, adapted{adapter_key(salt, digest_of("lora"))},
      other_salt{adapter_key({7, 9}, digest_of("lora"))};
  KvLedger ledger(ledger_options(12));
  remember(ledger, prompt(), adapted);
  EXPECT_EQ(found(ledger, prompt(), adapted), prompt().size() - 1);
  EXPECT_EQ(found(ledger, prompt(), plain), 0u);
  EXPECT_EQ(found(ledger, prompt(), other_salt), 0u);
}

}  // namespace
}  // namespace slipstream
