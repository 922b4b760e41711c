// The keys and values at the front of a GGUF file.
#pragma once

#include "base/result.h"
#include "files/byte_reader.h"
#include "files/gguf.h"

namespace slipstream {

// A string as GGUF writes it: u64 length, bytes. `what` for the message.
Result<std::string_view> read_gguf_string(ByteReader& reader, uint64_t max_bytes, std::string_view what);

// num_keys pairs. Errors name the key.
Result<GgufMetadata> read_gguf_metadata(ByteReader& reader, uint64_t num_keys);

}  // namespace slipstream
