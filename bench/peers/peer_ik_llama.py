#!/usr/bin/env python3
"""One cell of ik_llama.cpp, in process: run by compare.py with the Python of its environment.

Prints {"values": [tokens a second, ...]}, one for each repetition. Weights are repacked while loading. The prompt is
computed once and its K and V are copied for the other sequences, so each has its own. Nothing is sampled: the next
tokens are made up, as llama.cpp's own llama-batched-bench does.
"""

import argparse
import ctypes
import json
import random
import time

from ik_llama_cpp import _ctypes_api as api  # its library, or the one that IK_LLAMA_CPP_LIB_PATH names


def make_context(given):
    api.llama_backend_init()
    model_params = api.llama_model_default_params()
    model_params.repack_tensors = True
    model_params.use_mmap = False  # repacked tensors can't stay in the file
    model_params.flash_attn = given.flash_attention
    model = api.llama_model_load_from_file(given.model.encode(), model_params)
    params = api.llama_context_default_params()
    params.n_ctx = given.streams * (given.prompt + given.tokens) + 64
    params.n_batch = max(given.prompt, 512)
    params.n_ubatch = 512
    params.n_seq_max = given.streams
    params.n_threads = params.n_threads_batch = given.threads
    params.flash_attn = given.flash_attention
    context = api.llama_init_from_model(model, params)
    assert model and context
    return context, api.llama_vocab_n_tokens(api.llama_model_get_vocab(model))


class Batch:
    """Rows of one call: (token, position, sequence, whether its logits are wanted)."""

    def __init__(self, context, capacity):
        self.context = context
        self.batch = api.llama_batch_init(capacity, 0, 1)

    def decode(self, rows):
        for i, (token, position, sequence, wanted) in enumerate(rows):
            self.batch.token[i] = token
            self.batch.pos[i] = position
            self.batch.n_seq_id[i] = 1
            self.batch.seq_id[i][0] = sequence
            self.batch.logits[i] = wanted
        self.batch.n_tokens = len(rows)
        assert api.llama_decode(self.context, self.batch) == 0
        api._lib.llama_synchronize(ctypes.c_void_p(self.context))


def copy_sequence(context, streams):
    """Gives sequences 1 .. streams - 1 cells of their own with what sequence 0 has in its."""
    handle, flags = ctypes.c_void_p(context), ctypes.c_uint32(0)
    functions = [getattr(api._lib, f"llama_state_seq_{name}") for name in ("get_size", "get_data", "set_data")]
    for function in functions:
        function.restype = ctypes.c_size_t
    get_size, get_data, set_data = functions
    size = get_size(handle, 0, flags)
    state = ctypes.create_string_buffer(size)
    assert get_data(handle, state, ctypes.c_size_t(size), 0, flags) == size
    for sequence in range(1, streams):
        assert set_data(handle, state, ctypes.c_size_t(size), sequence, flags) == size


def measure(context, vocabulary, given):
    """Seconds of the prompt, and of all steps after it."""
    batch = Batch(context, max(given.prompt, given.streams))
    token = lambda: random.randrange(vocabulary)
    api.llama_kv_cache_clear(context)
    begin = time.perf_counter()
    batch.decode([(token(), i, 0, i == given.prompt - 1) for i in range(given.prompt)])
    prompt_s = time.perf_counter() - begin
    copy_sequence(context, given.streams)
    begin = time.perf_counter()
    for step in range(given.tokens):
        batch.decode([(token(), given.prompt + step, sequence, 1) for sequence in range(given.streams)])
    steps_s = time.perf_counter() - begin
    api.llama_batch_free(batch.batch)
    return prompt_s, steps_s


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--prompt", type=int, required=True)
    parser.add_argument("--tokens", type=int, required=True, help="of each sequence; 0: the prompt's speed is measured")
    parser.add_argument("--streams", type=int, required=True)
    parser.add_argument("--repeat", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--no-flash-attention", dest="flash_attention", action="store_false")
    given = parser.parse_args()
    random.seed(1)
    context, vocabulary = make_context(given)
    warm = argparse.Namespace(prompt=16, tokens=1, streams=1)
    measure(context, vocabulary, warm)
    values = []
    for _ in range(given.repeat):
        prompt_s, steps_s = measure(context, vocabulary, given)
        values.append(given.streams * given.tokens / steps_s if given.tokens else given.prompt / prompt_s)
    print(json.dumps({"values": values}))


if __name__ == "__main__":
    main()
