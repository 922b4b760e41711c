// The C functions of the Rust crate in rust/ (its digest_abi.rs defines them), which has SHA-256 from the crate `sha2`.
// The class in sha256.h is what others use. They do not fail and do not allocate; a state is one thread's at a time.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

// Plain bytes: may be copied and forgotten.
typedef struct slipstream_sha256 {
  alignas(8) uint8_t state[112];
} slipstream_sha256;

void slipstream_sha256_begin(slipstream_sha256* hash);
void slipstream_sha256_add(slipstream_sha256* hash, const uint8_t* bytes, size_t size);
void slipstream_sha256_finish(slipstream_sha256* hash, uint8_t* digest);  // [32]; the hash is used up

}  // extern "C"
