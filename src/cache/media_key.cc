#include "cache/media_key.h"

#include <cstring>
#include <span>

#include "base/check.h"
#include "digest/sha256.h"

namespace slipstream {
namespace {

enum class Kind : uint8_t { kImage = 1, kVideo = 2, kAdapter = 3 };

class KindHash {
 public:
  explicit KindHash(Kind kind) { hash_.add_value(kind); }

  KindHash& field(std::span<const std::byte> bytes) {
    CHECK(bytes.size() <= UINT32_MAX, "a field of {} bytes", bytes.size());
    hash_.add_value(static_cast<uint32_t>(bytes.size()));
    hash_.add(bytes);
    return *this;
  }
  template <class T>
  KindHash& value(const T& value) {
    return field(std::as_bytes(std::span(&value, 1)));
  }
  KindHash& image(const ImageContent& image) {
    field(image.digest).value(image.width).value(image.height);
    return field(std::as_bytes(std::span(image.preprocessing)));
  }

  ExtraKey finish() {
    const auto digest = hash_.finish();
    ExtraKey key;
    static_assert(sizeof key <= sizeof digest);
    std::memcpy(&key, digest.data(), sizeof key);
    return key;
  }

 private:
  Sha256 hash_;
};

}  // namespace

ExtraKey image_key(const ImageContent& image) { return KindHash(Kind::kImage).image(image).finish(); }

ExtraKey video_key(const VideoContent& video) {
  return KindHash(Kind::kVideo).image(video.frames).value(video.fps).value(video.max_frames).finish();
}

ExtraKey adapter_key(const ExtraKey& base, const ContentDigest& weights) {
  return KindHash(Kind::kAdapter).value(base).field(weights).finish();
}

}  // namespace slipstream
