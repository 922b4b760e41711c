#!/usr/bin/env python3
"""Writes a checkpoint as a GGUF model, with its answers.

  python -m venv V
  V/bin/pip install torch==2.15.0 transformers==5.24.0 accelerate==1.15.0 gguf==0.19.0 safetensors==0.8.0 numpy==2.4.6
  V/bin/python tools/make_gguf.py FOLDER OUT [--types F32|F16|BF16|Q8_0|Q4_0|Q4_1|mixed] [--parts N]
  V/bin/python tools/make_gguf.py FOLDER OUT.gguf --vocab-only

FOLDER: an unquantised llama, qwen2, qwen3 or (sparse in every layer) qwen3_moe with golden.json, whose prompts are used
again. OUT gets model.gguf (or model-00001-of-0000N.gguf ...) as llama.cpp's converter would write it, quantised by the
gguf package; and golden.json and golden.safetensors: what transformers computes in float64 from the weights that are in
the file, dequantised exactly. transformers' own reader of GGUF files (names, dequantising, order of rows) must agree.

--vocab-only: FOLDER has tokenizer.json and tokenizer_config.json; only the tokenizer is written.
"""

import argparse
import json
import math
import pathlib
import tempfile

import gguf
import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file

GREEDY = 32
TYPES = ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1")

# model_type -> architecture. llama.cpp turns neighbouring rows of a llama's heads, and halves of all others'.
ARCHITECTURES = {"llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "qwen3_moe": "qwen3moe"}
TURNS_NEIGHBOURS = ("llama",)

LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "mlp.gate": "ffn_gate_inp",
}
EXPERT_NAMES = {"gate_proj": "ffn_gate_exps", "up_proj": "ffn_up_exps", "down_proj": "ffn_down_exps"}
TOP_NAMES = {"model.embed_tokens": "token_embd", "lm_head": "output", "model.norm": "output_norm"}

# One file with every type that is read, where the types meet in one layer too.
MIXED = {
    "token_embd": "Q8_0",
    "output": "Q4_1",
    "attn_q": ["Q4_1", "F16"],
    "attn_k": ["Q4_0", "Q8_0"],
    "attn_v": ["Q4_1", "BF16"],
    "attn_output": "Q4_0",
    "ffn_gate": ["Q8_0", "Q4_1"],
    "ffn_up": ["Q4_0", "Q8_0"],
    "ffn_down": "Q8_0",
    "ffn_gate_exps": ["Q4_0", "Q8_0"],
    "ffn_up_exps": ["Q4_0", "Q4_1"],
    "ffn_down_exps": ["Q4_1", "Q8_0"],
}


# ---- names, types, order of rows ---------------------------------------------------------------------------


def gguf_name(name):
    """model.layers.3.mlp.up_proj.weight -> (blk.3.ffn_up, weight, ffn_up, layer 3)"""
    stem, kind = name.rsplit(".", 1)
    if stem in TOP_NAMES:
        return TOP_NAMES[stem], kind, TOP_NAMES[stem], 0
    layer, part = stem.removeprefix("model.layers.").split(".", 1)
    return f"blk.{layer}.{LAYER_NAMES[part]}", kind, LAYER_NAMES[part], int(layer)


def stacked(weights):
    """GGUF name -> (weights as float32, part, layer); the experts of a layer one above the other."""
    out, experts = {}, {}
    for name, w in weights.items():
        w = w.to(torch.float32).numpy()
        if ".experts." in name:
            layer, rest = name.removeprefix("model.layers.").split(".mlp.experts.")
            number, part, _ = rest.split(".")
            experts.setdefault((int(layer), EXPERT_NAMES[part]), {})[int(number)] = w
            continue
        to, kind, part, layer = gguf_name(name)
        out[f"{to}.{kind}"] = (w, part, layer)
    for (layer, part), of in experts.items():
        out[f"blk.{layer}.{part}.weight"] = (np.stack([of[e] for e in range(len(of))]), part, layer)
    return out


def type_of(part, layer, dimensions, types):
    if dimensions == 1 or part == "ffn_gate_inp":  # norms, biases, routers: as llama.cpp's converter
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


def turned_heads(part, config):
    """Heads whose rows stand in the file as neighbours; 0: they stand as they are."""
    if config.model_type not in TURNS_NEIGHBOURS or part not in ("attn_q", "attn_k"):
        return 0
    return config.num_attention_heads if part == "attn_q" else config.num_key_value_heads


# ---- rope --------------------------------------------------------------------------------------------------


def head_size(config):
    return getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads


def rope_divisors(config):
    """Of each frequency, fp32, for rope scaling "llama3" (rope_freqs.weight); None without scaling."""
    rope = config.rope_parameters
    if rope["rope_type"] == "default":
        return None
    assert rope["rope_type"] == "llama3", rope
    original, low, high = (rope[k] for k in ("original_max_position_embeddings", "low_freq_factor", "high_freq_factor"))
    out = []
    for pair in range(head_size(config) // 2):
        wave = 2 * math.pi * rope["rope_theta"] ** (2 * pair / head_size(config))
        if wave < original / high:
            out.append(1.0)
        elif wave > original / low:
            out.append(rope["factor"])
        else:
            smooth = (original / wave - low) / (high - low)
            out.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    return np.array(out, dtype=np.float32)


# ---- writing -----------------------------------------------------------------------------------------------


def add_vocabulary(writer, tokenizer, settings, vocab_size, bos, eos):
    """As llama.cpp's converter: added tokens that are special, or look it, are control tokens."""
    patterns = [step["pattern"]["Regex"] for step in (tokenizer["pre_tokenizer"].get("pretokenizers") or [])
                if step["type"] == "Split"]
    # The tiny tokenizers split text as GPT-2 does; of what llama.cpp knows, smollm is the nearest that is read (it
    # takes digits one by one).
    pre = "smollm" if not patterns else "llama-bpe" if r"\p{N}{1,3}" in patterns[0] else "qwen2"
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    vocab = {i: t for t, i in tokenizer["model"]["vocab"].items()}
    added = {t["id"]: t for t in tokenizer["added_tokens"]}
    vocab |= {i: t["content"] for i, t in added.items()}
    tokens, types = [], []
    for i in range(vocab_size or max(vocab) + 1):
        token = vocab.get(i, f"[PAD{i}]")
        looks_special = token.startswith("<|") and token.endswith("|>")
        tokens.append(token)
        if i not in vocab:
            types.append(gguf.TokenType.UNUSED)
        elif i not in added:
            types.append(gguf.TokenType.NORMAL)
        else:
            control = added[i]["special"] or looks_special
            types.append(gguf.TokenType.CONTROL if control else gguf.TokenType.USER_DEFINED)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in tokenizer["model"]["merges"]])
    if bos is not None:
        writer.add_bos_token_id(bos)
    if eos is not None:
        writer.add_eos_token_id(eos)
    if "add_bos_token" in settings:
        writer.add_add_bos_token(settings["add_bos_token"])
    if settings.get("chat_template"):
        writer.add_chat_template(settings["chat_template"])


def add_metadata(writer, config):
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    if config.model_type != "qwen2":
        writer.add_key_length(head_size(config))
        writer.add_value_length(head_size(config))
    if config.model_type == "llama":
        writer.add_rope_dimension_count(head_size(config))
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    if config.model_type == "qwen3_moe":
        assert config.norm_topk_prob and config.decoder_sparse_step == 1 and not config.mlp_only_layers
        writer.add_expert_count(config.num_experts)
        writer.add_expert_used_count(config.num_experts_per_tok)
        writer.add_expert_feed_forward_length(config.moe_intermediate_size)


def write_gguf(path, folder, config, weights, types, parts):
    tensors = stacked(weights)
    if rope_divisors(config) is not None:
        tensors["rope_freqs.weight"] = (rope_divisors(config), "rope_freqs", 0)
    writer = gguf.GGUFWriter(
        str(path), ARCHITECTURES[config.model_type], split_max_tensors=-(-len(tensors) // parts) if parts > 1 else 0
    )
    add_metadata(writer, config)
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    add_vocabulary(writer, tokenizer, settings, config.vocab_size, config.bos_token_id, config.eos_token_id)
    for name, (w, part, layer) in tensors.items():
        if turned_heads(part, config):
            w = to_neighbours(w, turned_heads(part, config))
        kind = gguf.GGMLQuantizationType[type_of(part, layer, w.ndim, types)]
        if kind.name in ("F32", "F16"):
            writer.add_tensor(name, w.astype(np.float32 if kind.name == "F32" else np.float16))
        else:
            writer.add_tensor(name, gguf.quants.quantize(w, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_vocabulary(path, folder):
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    ids = tokenizer["model"]["vocab"] | {t["content"]: t["id"] for t in tokenizer["added_tokens"]}
    text = lambda token: token["content"] if isinstance(token, dict) else token
    writer = gguf.GGUFWriter(str(path), "llama")
    add_vocabulary(writer, tokenizer, settings, None, *(ids.get(text(settings[k])) for k in ("bos_token", "eos_token")))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


# ---- the truth ---------------------------------------------------------------------------------------------


def dequantised(tensor):
    """Exact in float64, from the bytes of the blocks."""
    kind, shape = tensor.tensor_type.name, tuple(int(n) for n in reversed(tensor.shape))
    if kind in ("F32", "F16"):
        return np.asarray(tensor.data, dtype=np.float64).reshape(shape)
    data = np.ascontiguousarray(tensor.data).view(np.uint8)
    if kind == "BF16":
        return (data.view(np.uint16).astype(np.uint32) << 16).view(np.float32).astype(np.float64).reshape(shape)
    blocks = data.reshape(-1, dict(Q8_0=34, Q4_0=18, Q4_1=20)[kind])
    half = lambda at: np.ascontiguousarray(blocks[:, at : at + 2]).view(np.float16).astype(np.float64)
    if kind == "Q8_0":
        return (half(0) * np.ascontiguousarray(blocks[:, 2:]).view(np.int8)).reshape(shape)
    nibbles = blocks[:, 2:] if kind == "Q4_0" else blocks[:, 4:]
    q = np.concatenate([nibbles & 15, nibbles >> 4], axis=1).astype(np.float64)
    return (half(0) * (q - 8) if kind == "Q4_0" else half(0) * q + half(2)).reshape(shape)


def read_back(paths, config, names):
    """Hugging Face names -> float64, and the divisors of rope's frequencies or None."""
    files = [gguf.GGUFReader(str(path)) for path in paths]
    tensors = {t.name: dequantised(t) for f in files for t in f.tensors}
    divisors = tensors.pop("rope_freqs.weight", None)
    out = {}
    for name in names:
        if ".experts." in name:
            layer, rest = name.removeprefix("model.layers.").split(".mlp.experts.")
            number, part, _ = rest.split(".")
            out[name] = tensors[f"blk.{layer}.{EXPERT_NAMES[part]}.weight"][int(number)]
            continue
        to, kind, part, _ = gguf_name(name)
        w = tensors[f"{to}.{kind}"]
        out[name] = to_halves(w, turned_heads(part, config)) if turned_heads(part, config) else w
    return {n: torch.from_numpy(np.ascontiguousarray(w)) for n, w in out.items()}, divisors


def set_divisors(model, config, divisors):
    """Rope without scaling, its frequencies divided as the file says."""
    if divisors is None:
        return
    exponents = np.arange(0, head_size(config), 2) / head_size(config)
    frequencies = config.rope_parameters["rope_theta"] ** -exponents / divisors
    rope = model.model.rotary_emb
    rope.inv_freq = torch.from_numpy(frequencies).to(rope.inv_freq.dtype)


def without_scaling(config):
    plain = type(config).from_dict(config.to_dict())
    plain.rope_parameters = dict(rope_type="default", rope_theta=config.rope_parameters["rope_theta"])
    return plain


def model_of(config, weights, divisors):
    cls = getattr(transformers, config.architectures[0])
    with tempfile.TemporaryDirectory() as scratch:
        without_scaling(config).save_pretrained(scratch)
        save_file(weights, scratch + "/model.safetensors", metadata={"format": "pt"})
        model, info = cls.from_pretrained(
            scratch, dtype=torch.float64, attn_implementation="eager", experts_implementation="eager",
            output_loading_info=True,
        )
    tied = {"lm_head.weight"} if config.tie_word_embeddings else set()
    assert not info["unexpected_keys"] and set(info["missing_keys"]) <= tied, info
    set_divisors(model, config, divisors)
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
def transformers_own_reading(file, config, divisors, prompts):
    # It does not read the size of a head or of an expert, nor what is done with the weights of the chosen ones.
    given = dict(config=without_scaling(config)) if config.model_type.startswith("qwen3") else {}
    model = transformers.AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, dtype=torch.float32, attn_implementation="eager",
        experts_implementation="eager", **given,
    )
    model = model.to(torch.float64).eval()
    set_divisors(model, config, divisors)  # which it does not read
    return [model(torch.tensor([p["prompt"]])).logits[0][p["positions"]] for p in prompts]


def write_model(folder, out, types, parts):
    config = transformers.AutoConfig.from_pretrained(folder)
    prompts = json.loads((folder / "golden.json").read_text())["prompts"]
    weights = {}
    for f in sorted(folder.glob("model*.safetensors")):
        weights |= load_file(f)
    out.mkdir(parents=True, exist_ok=True)
    write_gguf(out / "model.gguf", folder, config, weights, types, parts)
    files = sorted(out.glob("model*.gguf"))
    read, divisors = read_back(files, config, weights)
    meta, tensors = answers(model_of(config, read, divisors), prompts)
    with tempfile.TemporaryDirectory() as scratch:
        whole = pathlib.Path(scratch) / "whole.gguf"  # transformers reads one file
        write_gguf(whole, folder, config, weights, types, 1)
        theirs = transformers_own_reading(whole, config, divisors, prompts)
    worst = max(
        float((w - tensors[f"logits.{n}"]).abs().max()) / meta[n]["logits_std"] for n, w in enumerate(theirs)
    )
    size = sum(f.stat().st_size for f in files)
    print(f"{out}: {size} bytes in {len(files)}; transformers' own reading differs by {worst:.1e} of the spread")
    assert worst < 1e-4, "two readings of one file"
    save_file(tensors, str(out / "golden.safetensors"))
    (out / "golden.json").write_text(json.dumps(dict(prompts=meta)))


def main():
    a = argparse.ArgumentParser()
    a.add_argument("folder", type=pathlib.Path)
    a.add_argument("out", type=pathlib.Path)
    a.add_argument("--types", choices=TYPES + ("mixed",), default="mixed")
    a.add_argument("--parts", type=int, default=1)
    a.add_argument("--vocab-only", action="store_true")
    a = a.parse_args()
    if a.vocab_only:
        write_vocabulary(a.out, a.folder)
    else:
        write_model(a.folder, a.out, a.types, a.parts)


if __name__ == "__main__":
    main()
