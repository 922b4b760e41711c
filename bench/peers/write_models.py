#!/usr/bin/env python3
"""Writes GGUF files with the shapes of real models and random blocks, which all peers and Slipstream open.

    FOLDER/writer/bin/python bench/peers/write_models.py OUT SHAPE...      (FOLDER: of install.sh)

A file is as large and as slow as the real one: every quant is drawn evenly, so nothing is zero or repeats, and scales
keep what goes through the layers of the order of one. The tokenizer is a byte-level BPE of 256 bytes and a few merges,
padded with unused tokens to the real size.
"""

import argparse
import pathlib

import gguf
import numpy as np

from shapes import SHAPES

BLOCK = 32  # values that share a scale, in all three formats
MOST_VALUES = 1 << 24  # drawn at a time


# ---- blocks ------------------------------------------------------------------------------------------------


def halves(values):
    """fp16 as bytes, one row of two for each value."""
    return values.astype(np.float16).view(np.uint8).reshape(-1, 2)


def random_blocks(rng, kind, blocks, spread):
    """[blocks, bytes of one]; the weights' standard deviation is about `spread`."""
    vary = rng.uniform(0.5, 1.5, blocks)
    if kind == "Q8_0":  # -127 to 127
        scale = halves(vary * spread / 73.3)
        return np.concatenate([scale, rng.integers(-127, 128, (blocks, BLOCK), dtype=np.int8).view(np.uint8)], axis=1)
    nibbles = rng.integers(0, 256, (blocks, BLOCK // 2), dtype=np.uint8)
    scale = vary * spread / 4.6
    if kind == "Q4_0":  # scale * (q - 8)
        return np.concatenate([halves(scale), nibbles], axis=1)
    assert kind == "Q4_1", kind  # scale * q + least
    least = -7.5 * scale + rng.normal(0, spread / 20, blocks)
    return np.concatenate([halves(scale), halves(least), nibbles], axis=1)


def random_matrix(rng, kind, rows, columns):
    """Bytes of the rows, [rows, bytes of a row]."""
    out, step = [], max(1, MOST_VALUES // columns)
    for first in range(0, rows, step):
        count = min(step, rows - first)
        blocks = random_blocks(rng, kind, count * columns // BLOCK, columns**-0.5)
        out.append(blocks.reshape(count, -1))
    return np.concatenate(out)


# ---- the parts of a file -----------------------------------------------------------------------------------


def byte_letters():
    """The letter that GPT-2's byte-level BPE writes for each byte."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = iter(range(256, 512))
    return [chr(byte if byte in plain else next(others)) for byte in range(256)]


def add_vocabulary(writer, shape):
    letters = byte_letters()
    merges = [("t", "h"), ("th", "e"), ("i", "n"), ("a", "n"), ("e", "r"), (letters[32], "a")]
    tokens = letters + [a + b for a, b in merges]
    types = [gguf.TokenType.NORMAL] * len(tokens)
    control = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    end = len(tokens)
    tokens += control
    types += [gguf.TokenType.CONTROL] * len(control)
    while len(tokens) < shape.vocab_size:
        tokens.append(f"[PAD{len(tokens)}]")
        types.append(gguf.TokenType.UNUSED)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(shape.pre)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([f"{a} {b}" for a, b in merges])
    for add in (writer.add_bos_token_id, writer.add_eos_token_id, writer.add_pad_token_id):
        add(end)
    writer.add_add_bos_token(False)
    writer.add_chat_template(
        "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>'}}"
        "{{'\\n'}}{% endfor %}{% if add_generation_prompt %}{{'<|im_start|>assistant\\n'}}{% endif %}"
    )


def add_metadata(writer, shape):
    writer.add_name(shape.name)
    writer.add_file_type({"Q8_0": 7, "Q4_0": 2, "Q4_1": 3}[shape.weights])
    writer.add_quantization_version(2)
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.hidden)
    writer.add_feed_forward_length(shape.intermediate)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    if shape.architecture != "qwen2":
        writer.add_key_length(shape.head_size)
        writer.add_value_length(shape.head_size)
    if shape.architecture == "llama":
        writer.add_rope_dimension_count(shape.head_size)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    writer.add_vocab_size(shape.vocab_size)


def tensors_of(shape):
    """(name, format or None for 32 bits, rows, columns), in the order of a real file; no rows: a vector."""
    queries, keys = shape.heads * shape.head_size, shape.kv_heads * shape.head_size
    yield "token_embd.weight", shape.embedding, shape.vocab_size, shape.hidden
    for layer in range(shape.layers):
        at = f"blk.{layer}."
        yield at + "attn_norm.weight", None, 0, shape.hidden
        yield at + "ffn_down.weight", shape.weights, shape.hidden, shape.intermediate
        yield at + "ffn_gate.weight", shape.weights, shape.intermediate, shape.hidden
        yield at + "ffn_up.weight", shape.weights, shape.intermediate, shape.hidden
        yield at + "ffn_norm.weight", None, 0, shape.hidden
        for part, rows in (("q", queries), ("k", keys), ("v", keys)):
            if shape.architecture == "qwen2":
                yield f"{at}attn_{part}.bias", None, 0, rows
            yield f"{at}attn_{part}.weight", shape.weights, rows, shape.hidden
        if shape.architecture == "qwen3":
            yield at + "attn_q_norm.weight", None, 0, shape.head_size
            yield at + "attn_k_norm.weight", None, 0, shape.head_size
        yield at + "attn_output.weight", shape.weights, shape.hidden, queries
    yield "output_norm.weight", None, 0, shape.hidden


def write(path, shape):
    rng = np.random.default_rng(1)
    unfinished = path.with_suffix(".unfinished")
    writer = gguf.GGUFWriter(str(unfinished), shape.architecture)
    add_metadata(writer, shape)
    add_vocabulary(writer, shape)
    for name, kind, rows, columns in tensors_of(shape):
        if kind is None:
            middle = 1.0 if "norm" in name else 0.0
            writer.add_tensor(name, rng.normal(middle, 0.1, columns).astype(np.float32))
        else:
            matrix = random_matrix(rng, kind, rows, columns)
            writer.add_tensor(name, matrix, raw_dtype=gguf.GGMLQuantizationType[kind])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    unfinished.rename(path)
    print(f"{path}: {path.stat().st_size / 1e6:.0f} MB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("shapes", nargs="+", choices=SHAPES, metavar="SHAPE")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for name in given.shapes:
        path = given.out / f"{name}.gguf"
        if not path.exists():
            write(path, SHAPES[name])


if __name__ == "__main__":
    main()
