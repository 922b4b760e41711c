//! SHA-256 as C functions. The contract is src/digest/digest_abi.h. Nothing here can fail or allocates: the state is
//! plain bytes that lie with the caller. (A panic all the same would end the process, as one in `extern "C"` does.)

use sha2::{Digest, Sha256};
use std::mem::{align_of, needs_drop, size_of};

const STATE_BYTES: usize = 112;
const _: () = assert!(size_of::<Sha256>() == STATE_BYTES && align_of::<Sha256>() <= align_of::<State>());
const _: () = assert!(!needs_drop::<Sha256>());

/// Room for a Sha256.
#[repr(C, align(8))]
pub struct State([u8; STATE_BYTES]);

/// # Safety
/// `state` is writable.
#[no_mangle]
pub unsafe extern "C" fn slipstream_sha256_begin(state: *mut State) {
    state.cast::<Sha256>().write(Sha256::new());
}

/// # Safety
/// `state` was begun and not finished; `bytes` has `size` bytes.
#[no_mangle]
pub unsafe extern "C" fn slipstream_sha256_add(state: *mut State, bytes: *const u8, size: usize) {
    if size > 0 {
        (*state.cast::<Sha256>()).update(std::slice::from_raw_parts(bytes, size));
    }
}

/// # Safety
/// `state` was begun and not finished; `digest` is writable.
#[no_mangle]
pub unsafe extern "C" fn slipstream_sha256_finish(state: *mut State, digest: *mut [u8; 32]) {
    *digest = state.cast::<Sha256>().read().finalize().into();
}
