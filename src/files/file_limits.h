// What a file of a checkpoint may claim before it is refused. Every limit of files/ stands here; each is far above
// any real checkpoint and low enough that a hostile file costs neither much memory nor much time.
#pragma once

#include <cstdint>

namespace slipstream::file_limits {

// safetensors. 100 MB is the format's own limit for the header. A model of 60 layers x 256 experts has 140,000 tensors
// when each of its matrices is three, and 20 MB of header; 300,000 are read in half a second.
inline constexpr uint64_t kMaxHeaderBytes = 100'000'000;
inline constexpr uint64_t kMaxIndexBytes = 64ull << 20;
inline constexpr uint32_t kMaxTensors = 300'000;
inline constexpr uint32_t kMaxDimensions = 8;
inline constexpr uint32_t kMaxShards = 512;  // each keeps a file descriptor while it is open; the usual limit is 1,024
inline constexpr uint32_t kMaxNameBytes = 1024;

// JSON of any kind. Real files are at most 5 deep.
inline constexpr uint32_t kMaxJsonDepth = 64;
inline constexpr uint64_t kMaxConfigBytes = 4ull << 20;

// GGUF. Strings: a chat template has some 10 KB. Arrays: 262,144 tokens is the largest vocabulary today; four such
// arrays (tokens, scores, types, merges) make a file's metadata.
inline constexpr uint64_t kMaxMetadataKeys = 65'536;
inline constexpr uint64_t kMaxKeyBytes = 65'535;  // the format's own
inline constexpr uint64_t kMaxStringBytes = 16ull << 20;
inline constexpr uint64_t kMaxArrayValues = 4ull << 20;  // of all arrays together
inline constexpr uint32_t kMaxGgufDimensions = 4;        // the format's own
inline constexpr uint64_t kMaxAlignment = 1ull << 20;

}  // namespace slipstream::file_limits
