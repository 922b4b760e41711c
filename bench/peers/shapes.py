"""The models that are compared: real shapes, each in a format of GGUF that Slipstream and all peers read."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Shape:
    name: str
    architecture: str  # of GGUF
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_size: int
    vocab_size: int
    context: int
    epsilon: float
    rope_base: float
    pre: str  # tokenizer.ggml.pre
    weights: str  # format of all matrices
    embedding: str  # format of the embedding, which is the output too


def _shapes():
    # From the config.json of Qwen/Qwen3-0.6B, meta-llama/Llama-3.2-1B-Instruct, Qwen/Qwen2.5-1.5B-Instruct and
    # HuggingFaceTB/SmolLM2-135M-Instruct. (Without Llama's divisors of rope frequencies, which cost no time.)
    qwen3 = dict(architecture="qwen3", layers=28, hidden=1024, intermediate=3072, heads=16, kv_heads=8, head_size=128,
                 vocab_size=151936, context=40960, epsilon=1e-6, rope_base=1e6, pre="qwen2")
    llama = dict(architecture="llama", layers=16, hidden=2048, intermediate=8192, heads=32, kv_heads=8, head_size=64,
                 vocab_size=128256, context=131072, epsilon=1e-5, rope_base=5e5, pre="llama-bpe")
    qwen2 = dict(architecture="qwen2", layers=28, hidden=1536, intermediate=8960, heads=12, kv_heads=2, head_size=128,
                 vocab_size=151936, context=32768, epsilon=1e-6, rope_base=1e6, pre="qwen2")
    smollm2 = dict(architecture="llama", layers=30, hidden=576, intermediate=1536, heads=9, kv_heads=3, head_size=64,
                   vocab_size=49152, context=8192, epsilon=1e-5, rope_base=1e5, pre="smollm")
    rows = [
        ("qwen3-0.6b-q8_0", qwen3, "Q8_0", "Q8_0"),
        ("llama-3.2-1b-q4_0", llama, "Q4_0", "Q4_0"),
        ("llama-3.2-1b-q4_1", llama, "Q4_1", "Q4_1"),
        ("qwen2.5-1.5b-q4_0", qwen2, "Q4_0", "Q4_0"),
        ("qwen2.5-1.5b-q4_1", qwen2, "Q4_1", "Q4_1"),
        ("smollm2-135m-q4_0", smollm2, "Q4_0", "Q8_0"),
        ("smollm2-135m-q4_1", smollm2, "Q4_1", "Q8_0"),  # as the file that people have
    ]
    for name, fields, weights, embedding in rows:
        yield name, Shape(name=name, weights=weights, embedding=embedding, **fields)


SHAPES = dict(_shapes())
