#!/usr/bin/env python3
"""Writes a llama checkpoint as a GGUF file, with its answers.

  python -m venv V
  V/bin/pip install torch==2.15.0 transformers==5.24.0 accelerate==1.15.0 gguf==0.19.0 safetensors==0.8.0 numpy==2.4.6
  V/bin/python tools/make_gguf.py FOLDER OUT --types F32|F16|Q8_0|Q4_1|mixed

FOLDER: an unquantised llama without rope scaling, with golden.json (whose prompts are used again). OUT gets model.gguf,
quantised by the gguf package, and golden.json and golden.safetensors: what transformers computes in float64 from the
weights that are in the file, dequantised exactly. transformers' own reader of GGUF files (its dequantising, its order
of rows) must agree.
"""

import argparse
import json
import pathlib

import gguf
import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file

GREEDY = 32

LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
TOP_NAMES = {"model.embed_tokens": "token_embd", "lm_head": "output", "model.norm": "output_norm"}

# One file with every type that is read, where the types meet in one layer too.
MIXED = {
    "token_embd": "Q8_0",
    "output": "Q4_1",
    "attn_q": ["Q4_1", "F16"],
    "attn_k": ["Q4_1", "Q8_0"],
    "attn_v": "Q4_1",
    "attn_output": "Q4_1",
    "ffn_gate": ["Q8_0", "Q4_1"],
    "ffn_up": ["Q8_0", "Q4_1"],
    "ffn_down": "Q8_0",
}


def gguf_name(name):
    """model.layers.3.mlp.up_proj.weight -> (blk.3.ffn_up.weight, ffn_up, 3)"""
    stem = name.removesuffix(".weight")
    if stem in TOP_NAMES:
        return TOP_NAMES[stem] + ".weight", TOP_NAMES[stem], 0
    layer, part = stem.removeprefix("model.layers.").split(".", 1)
    return f"blk.{layer}.{LAYER_NAMES[part]}.weight", LAYER_NAMES[part], int(layer)


def type_of(part, layer, types):
    if part.endswith("norm"):
        return "F32"
    if types != "mixed":
        return types
    choice = MIXED[part]
    return choice if isinstance(choice, str) else choice[layer % len(choice)]


def to_neighbours(w, heads):
    """Rows of each head from halves (0, 1, 2, .. | d/2, ..) to neighbours (0, d/2, 1, d/2 + 1, ..): llama.cpp."""
    d = w.shape[0] // heads
    order = [h * d + (i % 2) * (d // 2) + i // 2 for h in range(heads) for i in range(d)]
    return w[order]


def to_halves(w, heads):
    out = np.empty_like(w)
    out[to_neighbours(np.arange(w.shape[0]), heads)] = w
    return out


def heads_of(part, config):
    return config["num_attention_heads"] if part == "attn_q" else config["num_key_value_heads"]


def add_metadata(writer, config, tokenizer):
    head_dim = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_rope_dimension_count(head_dim)
    writer.add_rope_freq_base(config.get("rope_theta") or config["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    # These tokenizers split text as GPT-2 does; of what llama.cpp knows, smollm is the nearest that is read (it takes
    # digits one by one).
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    vocab = {i: t for t, i in tokenizer["model"]["vocab"].items()}
    special = {t["id"] for t in tokenizer["added_tokens"] if t["special"]}
    tokens = [vocab.get(i, f"[unused{i}]") for i in range(config["vocab_size"])]
    writer.add_token_list(tokens)
    writer.add_token_types(
        [gguf.TokenType.CONTROL if i in special else gguf.TokenType.NORMAL for i in range(len(tokens))]
    )
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in tokenizer["model"]["merges"]])
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_add_bos_token(False)


def write_gguf(path, config, weights, tokenizer, template, types):
    writer = gguf.GGUFWriter(str(path), "llama")
    add_metadata(writer, config, tokenizer)
    if template:
        writer.add_chat_template(template)
    for name, w in weights.items():
        to, part, layer = gguf_name(name)
        w = w.to(torch.float32).numpy()
        if part in ("attn_q", "attn_k"):
            w = to_neighbours(w, heads_of(part, config))
        kind = gguf.GGMLQuantizationType[type_of(part, layer, types)]
        if kind in (gguf.GGMLQuantizationType.F32, gguf.GGMLQuantizationType.F16):
            writer.add_tensor(to, w.astype(np.float32 if kind == gguf.GGMLQuantizationType.F32 else np.float16))
        else:
            writer.add_tensor(to, gguf.quants.quantize(w, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def dequantised(tensor):
    """Exact in float64, from the bytes of the blocks."""
    kind, shape = tensor.tensor_type.name, tuple(int(n) for n in reversed(tensor.shape))
    if kind in ("F32", "F16"):
        return np.asarray(tensor.data, dtype=np.float64).reshape(shape)
    size = dict(Q8_0=34, Q4_1=20)[kind]
    blocks = np.asarray(tensor.data, dtype=np.uint8).reshape(-1, size)
    half = lambda at: np.ascontiguousarray(blocks[:, at : at + 2]).view(np.float16).astype(np.float64)
    if kind == "Q8_0":
        return (half(0) * np.ascontiguousarray(blocks[:, 2:]).view(np.int8)).reshape(shape)
    q = np.concatenate([blocks[:, 4:] & 15, blocks[:, 4:] >> 4], axis=1)
    return (half(0) * q + half(2)).reshape(shape)


def read_back(path, config):
    """Hugging Face names -> float64."""
    names = {
        gguf_name(n)[0]: n
        for n in [f"model.layers.{i}.{p}.weight" for i in range(config["num_hidden_layers"]) for p in LAYER_NAMES]
        + [t + ".weight" for t in TOP_NAMES]
    }
    out = {}
    for t in gguf.GGUFReader(str(path)).tensors:
        w = dequantised(t)
        part = gguf_name(names[t.name])[1]
        out[names[t.name]] = torch.from_numpy(
            np.ascontiguousarray(to_halves(w, heads_of(part, config)) if part in ("attn_q", "attn_k") else w)
        )
    return out


def model_of(config, weights):
    c = {
        k: v
        for k, v in config.items()
        if k not in ("model_type", "architectures", "torch_dtype", "dtype", "rope_theta")
    }
    c.setdefault("rope_parameters", dict(rope_type="default", rope_theta=config.get("rope_theta")))
    c = transformers.LlamaConfig(**c)
    c._attn_implementation = "eager"
    model = transformers.LlamaForCausalLM(c).to(torch.float64)
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected and set(missing) <= ({"lm_head.weight"} if config["tie_word_embeddings"] else set()), (
        missing,
        unexpected,
    )
    model.tie_weights()
    return model.eval()


@torch.no_grad()
def answers(model, prompts):
    meta, tensors = [], {}
    for n, p in enumerate(prompts):
        x = torch.tensor([p["prompt"]])
        logits = model(x).logits[0]
        tokens, margins, logprobs, past = [], [], [], None
        for _ in range(GREEDY):
            o = model(x, past_key_values=past, use_cache=True)
            past, row = o.past_key_values, o.logits[0, -1]
            top = torch.topk(row, 2)
            tokens.append(int(top.indices[0]))
            margins.append(round(float(top.values[0] - top.values[1]), 6))
            logprobs.append(round(float(torch.log_softmax(row, -1)[tokens[-1]]), 6))
            x = torch.tensor([[tokens[-1]]])
        tensors[f"logits.{n}"] = logits[p["positions"]].float().contiguous()
        meta.append(
            dict(
                prompt=p["prompt"],
                positions=p["positions"],
                greedy=tokens,
                margins=margins,
                logprobs=logprobs,
                logits_std=round(float(logits.std()), 4),
            )
        )
    return meta, tensors


@torch.no_grad()
def transformers_own_reading(out, prompts):
    model = transformers.AutoModelForCausalLM.from_pretrained(
        out, gguf_file="model.gguf", dtype=torch.float32, attn_implementation="eager"
    )
    model = model.to(torch.float64).eval()
    return [model(torch.tensor([p["prompt"]])).logits[0][p["positions"]] for p in prompts]


def main():
    a = argparse.ArgumentParser()
    a.add_argument("folder", type=pathlib.Path)
    a.add_argument("out", type=pathlib.Path)
    a.add_argument("--types", choices=["F32", "F16", "Q8_0", "Q4_1", "mixed"], default="mixed")
    a = a.parse_args()
    config = json.loads((a.folder / "config.json").read_text())
    prompts = json.loads((a.folder / "golden.json").read_text())["prompts"]
    weights = {}
    for f in sorted(a.folder.glob("model*.safetensors")):
        weights |= load_file(f)
    tokenizer = json.loads((a.folder / "tokenizer.json").read_text())
    template = json.loads((a.folder / "tokenizer_config.json").read_text()).get("chat_template")
    a.out.mkdir(parents=True, exist_ok=True)
    write_gguf(a.out / "model.gguf", config, weights, tokenizer, template, a.types)
    meta, tensors = answers(model_of(config, read_back(a.out / "model.gguf", config)), prompts)
    worst = max(
        float((theirs - tensors[f"logits.{n}"]).abs().max()) / meta[n]["logits_std"]
        for n, theirs in enumerate(transformers_own_reading(a.out, prompts))
    )
    print(
        f"{a.out}: {(a.out / 'model.gguf').stat().st_size} bytes; "
        f"transformers' own reading of the file differs by {worst:.1e} of the spread"
    )
    assert worst < 1e-4, "two readings of one file"
    save_file(tensors, str(a.out / "golden.safetensors"))
    (a.out / "golden.json").write_text(json.dumps(dict(prompts=meta)))


if __name__ == "__main__":
    main()
