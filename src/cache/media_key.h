// The keys of what stands behind a range of tokens whose ids do not tell it (RangeKey): a picture, a piece of video;
// and of what changes every block of a sequence: an adapter. Two keys are equal where all that is named here is equal.
//
// A key is the first 128 bits of a SHA-256 over a byte for the kind, then every field behind its length. So no kind can
// be taken for another, and no field for a part of its neighbour. Any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "cache/sequence_keys.h"

namespace slipstream {

using ContentDigest = std::array<std::byte, 32>;  // SHA-256

struct ImageContent {
  ContentDigest digest{};          // of the bytes that the model's encoder is given: decoded, scaled, cut
  uint32_t width = 0;              // pixels of those
  uint32_t height = 0;
  std::string_view preprocessing;  // every parameter of it, always written in the same way
};

struct VideoContent {
  ImageContent frames;      // the digest of all frames, in order
  double fps = 0;           // frames drawn from a second of video
  uint32_t max_frames = 0;  // and at most so many in all
};

ExtraKey image_key(const ImageContent& image);
ExtraKey video_key(const VideoContent& video);

// SequenceKeys::base where an adapter is in use. base: what it would be without (a tenant's salt); weights: the digest
// of the adapter's weights and of the factor they are applied with.
ExtraKey adapter_key(const ExtraKey& base, const ContentDigest& weights);

}  // namespace slipstream
