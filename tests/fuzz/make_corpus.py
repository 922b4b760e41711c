#!/usr/bin/env python3
"""Writes the first inputs of the fuzz targets: python3 tests/fuzz/make_corpus.py [ORACLE_FOLDER]

Small whole models for safetensors and GGUF, the configs, tokenizers and templates of tests/data/oracle, or of
ORACLE_FOLDER with more of them, and requests out of the corpus of tests/api. Files whose name begins with "seed-" are
its own and are written anew; others in tests/fuzz/corpus are inputs that once were findings and stay.
"""
import json
import pathlib
import struct
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
CORPUS = ROOT / "tests/fuzz/corpus"
MARK = b"\n--\n"
# The shape of tests/fuzz/safetensors_fuzz.cc.
HIDDEN, MLP, HEADS, KV_HEADS, HEAD_DIM, VOCAB = 32, 32, 2, 1, 16, 16


def put(target, name, data):
    (CORPUS / target).mkdir(parents=True, exist_ok=True)
    (CORPUS / target / f"seed-{name}").write_bytes(data)


# ---------------------------------------------------------------- safetensors

def matrices(tied):
    q, kv = HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM
    shapes = {"model.embed_tokens": (VOCAB, HIDDEN)}
    if not tied:
        shapes["lm_head"] = (VOCAB, HIDDEN)
    for name, shape in dict(q=(q, HIDDEN), k=(kv, HIDDEN), v=(kv, HIDDEN), o=(HIDDEN, q)).items():
        shapes[f"model.layers.0.self_attn.{name}_proj"] = shape
    for name, shape in dict(gate=(MLP, HIDDEN), up=(MLP, HIDDEN), down=(HIDDEN, MLP)).items():
        shapes[f"model.layers.0.mlp.{name}_proj"] = shape
    return shapes


def vectors(qk_norm):
    shapes = {"model.norm": HIDDEN, "model.layers.0.input_layernorm": HIDDEN,
              "model.layers.0.post_attention_layernorm": HIDDEN}
    if qk_norm:
        shapes |= {f"model.layers.0.self_attn.{part}_norm": HEAD_DIM for part in "qk"}
    return shapes


def header(tensors):
    """tensors: name -> (dtype, shape); one after the other."""
    sizes = dict(F32=4, F16=2, BF16=2, U32=4)
    out, end = {}, 0
    for name, (dtype, shape) in tensors.items():
        begin = end
        end += sizes[dtype]
        for dimension in shape:
            end += (end - begin) * (dimension - 1)
        out[name] = dict(dtype=dtype, shape=list(shape), data_offsets=[begin, end])
    return out


def weights(tied, qk_norm, bits_of, scales="BF16"):
    """bits_of(module): 0 for a float matrix."""
    tensors = {}
    for module, (rows, cols) in matrices(tied).items():
        bits = bits_of(module)
        if bits == 0:
            tensors[module + ".weight"] = ("BF16", (rows, cols))
            continue
        tensors[module + ".weight"] = ("U32", (rows, cols * bits // 32))
        tensors[module + ".scales"] = (scales, (rows, cols // 32))
        tensors[module + ".biases"] = (scales, (rows, cols // 32))
    for module, size in vectors(qk_norm).items():
        tensors[module + ".weight"] = ("BF16", (size,))
    return tensors


def biases():
    return {f"model.layers.0.self_attn.{name}_proj.bias": ("BF16", (heads * HEAD_DIM,))
            for name, heads in dict(q=HEADS, k=KV_HEADS, v=KV_HEADS).items()}


def without_mlp(tensors):
    return {name: value for name, value in tensors.items() if ".mlp." not in name}


def experts_in_files():
    """As transformers names them: three experts of 16 in bf16."""
    tensors = without_mlp(weights(True, True, lambda module: 0))
    tensors["model.layers.0.mlp.gate.weight"] = ("BF16", (3, HIDDEN))
    for expert in range(3):
        for name, shape in dict(gate=(16, HIDDEN), up=(16, HIDDEN), down=(HIDDEN, 16)).items():
            tensors[f"model.layers.0.mlp.experts.{expert}.{name}_proj.weight"] = ("BF16", shape)
    return tensors


def experts_stacked():
    """As MLX names them: three experts of 32 in 6 bits, the router in 8."""
    tensors = without_mlp(weights(True, True, lambda module: 6))
    matrices_of_moe = {"gate": ((3, HIDDEN), 8)}
    matrices_of_moe |= {f"switch_mlp.{name}_proj": ((3, 32, HIDDEN), 6) for name in ("gate", "up", "down")}
    for name, (shape, bits) in matrices_of_moe.items():
        path = "model.layers.0.mlp." + name
        tensors[path + ".weight"] = ("U32", (*shape[:-1], shape[-1] * bits // 32))
        tensors[path + ".scales"] = tensors[path + ".biases"] = ("F16", (*shape[:-1], shape[-1] // 32))
    return tensors


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()


def safetensors_inputs():
    def described(config, *shards, index=b""):
        return bytes([config << 1]) + MARK.join([index, *shards])

    llama = header(weights(True, False, lambda module: 0))
    qwen = header(weights(False, True, lambda module: 0))
    mlx = header(weights(True, True, lambda module: 4))
    bits = {"lm_head": 0, "model.layers.0.mlp.down_proj": 4}
    mixed = header(weights(False, False, lambda module: bits.get(module, 8), "F32"))
    put("safetensors", "llama", described(0, compact(llama)))
    put("safetensors", "qwen3", described(1, compact(qwen | {"__metadata__": {"format": "pt", "x": {"y": [1]}}})))
    put("safetensors", "mlx", described(2, compact(mlx)))
    put("safetensors", "mlx-mixed", described(3, compact(mixed)))
    put("safetensors", "qwen2-3bit", described(4, compact(header(weights(True, False, lambda module: 3) | biases()))))
    put("safetensors", "experts", described(5, compact(header(experts_in_files()))))
    put("safetensors", "experts-stacked", described(6, compact(header(experts_stacked()))))
    names = list(mlx)
    half = len(names) // 2
    shards = [{name: mlx[name] for name in part} for part in (names[:half], names[half:])]
    weight_map = {name: file for shard, file in zip(shards, ("a.safetensors", "b.safetensors")) for name in shard}
    index = compact({"metadata": {"total_size": 1}, "weight_map": weight_map})
    put("safetensors", "sharded", described(2, *map(compact, shards), index=index))
    small = compact(header({"a": ("F32", (2, 2)), "b": ("F16", ())}))
    put("safetensors", "raw", b"\x01" + MARK + struct.pack("<Q", len(small)) + small + bytes(18))
    put("safetensors", "raw-huge", b"\x01" + MARK + struct.pack("<Q", 3 << 30) + small)
    put("safetensors", "raw-short", b"\x01" + MARK + b"\x01\x02")


# ---------------------------------------------------------------- GGUF

def gguf_text(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def gguf_value(value):
    if isinstance(value, bool):
        return 7, struct.pack("<B", value)
    if isinstance(value, int):
        return 4, struct.pack("<I", value)
    if isinstance(value, float):
        return 6, struct.pack("<f", value)
    if isinstance(value, str):
        return 8, gguf_text(value)
    kind = gguf_value(value[0])[0] if value else 4
    return 9, struct.pack("<IQ", kind, len(value)) + b"".join(gguf_value(entry)[1] for entry in value)


def gguf(keys, tensors, alignment=32):
    """tensors: name -> (type number, shape innermost first, bytes)."""
    out = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    for key, value in keys.items():
        kind, raw = gguf_value(value)
        out += gguf_text(key) + struct.pack("<I", kind) + raw
    offset = 0
    for name, (kind, shape, size) in tensors.items():
        out += gguf_text(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", n) for n in shape)
        out += struct.pack("<IQ", kind, offset)
        offset += -(-size // alignment) * alignment
    return out


GGUF_TYPES = dict(F32=(0, 1, 4), F16=(1, 1, 2), Q4_0=(2, 32, 18), Q4_1=(3, 32, 20), Q8_0=(8, 32, 34), BF16=(30, 1, 2))


def gguf_inputs():
    names = {"model.embed_tokens": "token_embd", "lm_head": "output", "model.norm": "output_norm"}
    attention = dict(q_proj="q", k_proj="k", v_proj="v", o_proj="output", q_norm="q_norm", k_norm="k_norm")
    for ours, theirs in {ours: "attn_" + theirs for ours, theirs in attention.items()}.items():
        names["model.layers.0.self_attn." + ours] = "blk.0." + theirs
    for ours in ("gate", "up", "down"):
        names[f"model.layers.0.mlp.{ours}_proj"] = f"blk.0.ffn_{ours}"
    names["model.layers.0.input_layernorm"] = "blk.0.attn_norm"
    names["model.layers.0.post_attention_layernorm"] = "blk.0.ffn_norm"
    tokens = ["<|im_end|>", "H", "e", "l", "o", "\u0120", "w", "r", "d", ",", "1", "2", "\u010a", "He", "ll", "Hell"]

    for architecture, kind, tied in [("llama", "F32", True), ("llama", "F16", False), ("llama", "Q8_0", False),
                                     ("llama", "Q4_0", True), ("llama", "Q4_1", True), ("llama", "BF16", True),
                                     ("qwen2", "Q8_0", True), ("qwen3", "Q8_0", True)]:
        keys = {"general.architecture": architecture, "general.alignment": 32}
        keys |= {f"{architecture}.{key}": value for key, value in {
            "block_count": 1, "embedding_length": HIDDEN, "feed_forward_length": MLP, "attention.head_count": HEADS,
            "attention.head_count_kv": KV_HEADS, "attention.key_length": HEAD_DIM, "context_length": 64,
            "attention.layer_norm_rms_epsilon": 1e-5, "rope.freq_base": 10000.0}.items()}
        keys |= {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "smollm", "tokenizer.ggml.tokens": tokens,
                 "tokenizer.ggml.token_type": [3] + [1] * 15, "tokenizer.ggml.merges": ["H e", "l l", "He ll"],
                 "tokenizer.ggml.eos_token_id": 0, "tokenizer.ggml.add_bos_token": False}
        tensors = {}
        number, per_block, block_bytes = GGUF_TYPES[kind]
        for module, (rows, cols) in matrices(tied).items():
            tensors[names[module] + ".weight"] = (number, (cols, rows), rows * cols // per_block * block_bytes)
        for module, size in vectors(architecture == "qwen3").items():
            tensors[names[module] + ".weight"] = (0, (size,), size * 4)
        if architecture == "qwen2":
            for part, size in dict(q=HEADS, k=KV_HEADS, v=KV_HEADS).items():
                tensors[f"blk.0.attn_{part}.bias"] = (0, (size * HEAD_DIM,), size * HEAD_DIM * 4)
        put("gguf", f"{architecture}-{kind.lower()}", gguf(keys, tensors))


# ---------------------------------------------------------------- texts

def text_inputs(oracles):
    seen = set()
    for folder in sorted(oracles.iterdir()):
        if not (folder / "config.json").exists():
            continue
        config = compact(json.loads((folder / "config.json").read_text()))
        generation = compact(json.loads((folder / "generation_config.json").read_text()))
        put("config", folder.name, config + b"\0" + generation)
        kinds = json.loads((folder / "tokenizer.json").read_text())
        model = kinds["model"]
        kept = dict(list(model["vocab"].items())[:120])
        model["vocab"] = kept
        pairs = [merge if isinstance(merge, list) else merge.split(" ") for merge in model["merges"]]
        model["merges"] = [pair for pair in pairs if all(part in kept for part in (*pair, "".join(pair)))]
        tokenizer = compact(kinds)
        if tokenizer not in seen:
            put("tokenizer", folder.name, tokenizer)
        seen.add(tokenizer)
        template = json.loads((folder / "tokenizer_config.json").read_text()).get("chat_template", "").encode()
        if template and template not in seen:
            put("template", folder.name, template)
        seen.add(template)
    steps = json.loads((ROOT / "tests/fuzz/tokenizer_steps.json").read_text())
    for name, parts in steps.items():
        tokens = ["<unk>", "<s>", "</s>", "\u2581", "a", "b", "ab", "<0xE2>", "<0x82>", "<0xAC>"]
        vocab = {token: number for number, token in enumerate(tokens)}
        model = dict(type="BPE", vocab=vocab, merges=[["a", "b"]], unk_token="<unk>", byte_fallback=True)
        put("tokenizer", name, compact(dict(version="1.0", model=model) | parts))


def template_inputs():
    """Templates over the conversation of template_fuzz.cc, and pieces of templates with their variables."""
    for path in sorted((ROOT / "tests/fuzz/templates").glob("*.jinja")):
        put("template", path.stem, path.read_bytes())
    tools = compact([dict(type="function", function=dict(name="add", parameters=dict(type="object")))])
    source = (ROOT / "tests/fuzz/templates/tools.jinja").read_bytes()
    messages = compact([dict(role="user", content=[dict(type="text", text="Hello"), dict(type="text", text="there")])])
    put("template", "tools-given", b"\0".join([source, messages, tools, compact(dict(enable_thinking=False))]))
    lines = (ROOT / "tests/data/text/fragments.txt").read_bytes().split(b"\n")
    pieces = lines[1::2]
    for begin in range(0, len(pieces), 12):
        put("template", f"pieces-{begin:03}", b"\0".join([b"\n".join(pieces[begin:begin + 12]), b"", b"", lines[0]]))


# ---------------------------------------------------------------- requests

def request_inputs():
    """Of the corpus of tests/api: each third request wrong below JSON, and a body for each parameter and kind."""
    sys.path.insert(0, str(ROOT / "tests/api"))
    import hostile_http
    import hostile_requests

    short = [item for item in hostile_http.HTTP.items() if len(item[1][0]) < 2000]
    for number, (name, (data, _)) in enumerate(short[::3]):
        put("request", f"http-{number:02}", b"\0" + bytes([number]) + data)
    whole = [json.dumps(request).encode() for _, request in hostile_requests.BASES]
    texts = [case.body for case in hostile_requests.cases() if len(case.body) < 400]
    kinds = {case.name.split(":")[0]: case.body for case in hostile_requests.parameter_cases() if len(case.body) < 400}
    for number, body in enumerate([*whole, *kinds.values(), *texts[::24]]):
        put("request", f"body-{number:03}", b"\1\0" + body)
    for number, body in enumerate(whole):
        head = f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        put("request", f"whole-{number}", b"\0\7" + head.encode() + body)


def main():
    oracles = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests/data/oracle"
    for old in CORPUS.glob("*/seed-*"):
        if not old.name.startswith("seed-real-"):
            old.unlink()
    safetensors_inputs()
    gguf_inputs()
    text_inputs(oracles)
    template_inputs()
    request_inputs()
    files = [path for path in CORPUS.rglob("*") if path.is_file()]
    print(len(files), "inputs,", sum(path.stat().st_size for path in files), "bytes")


if __name__ == "__main__":
    main()
