#!/usr/bin/env python3
"""Makes tests/data/text: what Hugging Face says of the encodings, decodings and templates that room text must equal.

  python -m venv VENV
  VENV/bin/pip install tokenizers==0.23.3 transformers==5.24.0 jinja2==3.1.6 gguf==0.19.0
  VENV/bin/python tools/make_text_golden.py --tokenizers FOLDER --tiny tests/data/oracle/qwen3-mlx-4bit-g64 \\
    --gguf SmolLM2-135M-Instruct.Q4_1.gguf --out tests/data/text

FOLDER has qwen3/, llama3_2/ and gemma3/, each with tokenizer.json and tokenizer_config.json. Only hashes and rendered
prompts are written, nothing of the vocabularies. The files are plain lines; backslash, newline and carriage return are
written \\\\ \\n \\r.
"""

import argparse
import importlib.metadata
import json
import os

from text_golden_cases import FRAGMENT_VARIABLES, FRAGMENTS, variants
from text_golden_strings import make_strings

PINNED = {"tokenizers": "0.23.3", "transformers": "5.24.0", "jinja2": "3.1.6", "gguf": "0.19.0"}
NUM_DECODES = 400
NOW = 1721999109  # 2024-07-26 13:05:09 UTC, what strftime_now sees


def escape(text):
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")


def fnv(data, bits):
    """FNV-1a; the test has the same."""
    basis, prime = (0x811C9DC5, 0x01000193) if bits == 32 else (0xCBF29CE484222325, 0x100000001B3)
    value = basis
    for byte in data:
        value = ((value ^ byte) * prime) & ((1 << bits) - 1)
    return f"{value:0{bits // 4}x}"


def ids_hash(ids):
    return fnv(b"".join(token.to_bytes(4, "little") for token in ids), 32)


def write_lines(folder, name, lines):
    with open(os.path.join(folder, name), "w", encoding="utf-8", newline="\n") as file:
        file.write("".join(line + "\n" for line in lines))


# ---- tokenizers --------------------------------------------------------------------------------------------


def read_gguf(path):
    import gguf

    fields = gguf.GGUFReader(path).fields
    return {
        name: fields[name].contents()
        for name in (
            "tokenizer.ggml.pre",
            "tokenizer.ggml.tokens",
            "tokenizer.ggml.token_type",
            "tokenizer.ggml.merges",
            "tokenizer.chat_template",
        )
    }


def gguf_tokenizer(metadata):
    """Byte-level BPE with `pre` smollm: digits one by one, then GPT-2's pattern (that of ByteLevel)."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    assert metadata["tokenizer.ggml.pre"] == "smollm"
    tokens = metadata["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in metadata["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE({token: index for index, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    control = [token for token, kind in zip(tokens, metadata["tokenizer.ggml.token_type"]) if kind == 3]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    return tokenizer


def splitmix(state):
    state = (state + 0x9E3779B97F4A7C15) & (2**64 - 1)
    mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
    return state, mixed ^ (mixed >> 31)


def decode_ids(index, vocab_size):
    """Sequence `index` of random tokens; every second one only of low ids, where the byte tokens are.

    The test has the same."""
    state = index
    ids = []
    for _ in range(1 + index % 40):
        state, bits = splitmix(state)
        ids.append(bits % (min(vocab_size, 512) if index % 2 else vocab_size))
    return ids


def encode_lines(tokenizer, strings):
    """Per string: the hash with added tokens found everywhere, and with control tokens left as text ("=": the same)."""
    lines = []
    for text in strings:
        tokenizer.encode_special_tokens = False
        found = ids_hash(tokenizer.encode(text, add_special_tokens=False).ids)
        tokenizer.encode_special_tokens = True
        plain = ids_hash(tokenizer.encode(text, add_special_tokens=False).ids)
        lines.append(found if found == plain else f"{found} {plain}")
    tokenizer.encode_special_tokens = False
    return lines


def decode_lines(tokenizer):
    size = max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1
    decode = lambda index, skip: fnv(tokenizer.decode(decode_ids(index, size), skip_special_tokens=skip).encode(), 32)
    return [str(size)] + [f"{decode(index, True)} {decode(index, False)}" for index in range(NUM_DECODES)]


# ---- chat templates ----------------------------------------------------------------------------------------


def flatten(messages):
    """Text parts as one string: what slipstream gives to a template that knows only strings."""
    join = lambda content: "".join(part["text"] for part in content) if isinstance(content, list) else content
    return [
        {**message, "content": join(message.get("content"))} if "content" in message else message
        for message in messages
    ]


def render(template, special, messages, tools, end, kwargs):
    """apply_chat_template(tokenize=False), without a tokenizer. `end`: add_generation_prompt, or "continue"."""
    from transformers.utils import chat_template_utils as utils

    prepared = utils._normalize_chat_messages(messages)
    rendered, _ = utils.render_jinja_template(
        [prepared],
        tools=tools,
        chat_template=template,
        add_generation_prompt=end is True,
        continue_final_message=end == "continue",
        **{**special, **kwargs},
    )
    return rendered[0]


def outcome(*arguments):
    """As a line: the text, or raise_exception's text; of other errors only that there is one."""
    import jinja2

    try:
        return "text " + escape(render(*arguments))
    except (jinja2.exceptions.TemplateError, TypeError, ValueError) as fault:
        return "raises " + escape(str(fault)) if type(fault) is jinja2.exceptions.TemplateError else "fails"


def fill(messages):
    """Content "" where there is none: slipstream's second try when a template fails."""
    return [{**message, "content": message.get("content") or ""} for message in messages]


def template_lines(template, special, knows_parts):
    lines = []
    for name, messages, tools, end, kwargs in variants():
        given = messages if knows_parts else flatten(messages)
        result = outcome(template, special, given, tools, end, kwargs)
        if result == "fails":
            result = outcome(template, special, fill(given), tools, end, kwargs)
        lines.append(f"{name} {result}")
    return lines


def case_lines():
    dump = lambda value: json.dumps(value, ensure_ascii=False)
    lines = []
    for name, messages, tools, end, kwargs in variants():
        lines += [
            name,
            dump(messages),
            dump(tools) if tools else "",
            dump(kwargs) if kwargs else "",
            end if end == "continue" else str(int(end)),
        ]
    return lines


def fragment_lines():
    lines = [json.dumps(FRAGMENT_VARIABLES, ensure_ascii=True)]
    for fragment in FRAGMENTS:
        lines += [escape(fragment), outcome(fragment, {}, [], None, False, FRAGMENT_VARIABLES)]
    return lines


def freeze_time():
    import datetime as clock

    from transformers.utils import chat_template_utils

    class Frozen(clock.datetime):
        @classmethod
        def now(cls, tz=None):
            return clock.datetime.fromtimestamp(NOW, clock.timezone.utc).replace(tzinfo=None)

    chat_template_utils.datetime = Frozen


def special_tokens(config):
    text = lambda value: value["content"] if isinstance(value, dict) else value
    return {name: text(config[name]) for name in ("bos_token", "eos_token") if config.get(name)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for option in ("--tokenizers", "--gguf", "--tiny", "--out"):
        parser.add_argument(option, required=True)
    options = parser.parse_args()
    for package, version in PINNED.items():
        found = importlib.metadata.version(package)
        assert found == version, f"{package} is {found}, expected {version}"
    from tokenizers import Tokenizer

    freeze_time()
    os.makedirs(options.out, exist_ok=True)
    strings = make_strings()
    write_lines(options.out, "strings.txt", [escape(text) for text in strings])
    write_lines(options.out, "cases.txt", case_lines())
    write_lines(options.out, "fragments.txt", fragment_lines())

    metadata = read_gguf(options.gguf)
    made = {
        "smollm2": (
            gguf_tokenizer(metadata),
            metadata["tokenizer.chat_template"],
            {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"},
            False,
        )
    }
    for name, knows_parts in (("qwen3", False), ("llama3_2", False), ("gemma3", True)):
        folder = os.path.join(options.tokenizers, name)
        with open(os.path.join(folder, "tokenizer_config.json"), encoding="utf-8") as file:
            config = json.load(file)
        tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
        made[name] = (tokenizer, config["chat_template"], special_tokens(config), knows_parts)
    with open(os.path.join(options.tiny, "tokenizer_config.json"), encoding="utf-8") as file:
        config = json.load(file)
    tiny = Tokenizer.from_file(os.path.join(options.tiny, "tokenizer.json"))
    made["tiny"] = (tiny, config["chat_template"], special_tokens(config), False)
    for name, (tokenizer, template, special, knows_parts) in made.items():
        write_lines(options.out, f"{name}.encodings.txt", encode_lines(tokenizer, strings))
        write_lines(options.out, f"{name}.decodings.txt", decode_lines(tokenizer))
        write_lines(options.out, f"{name}.templates.txt", template_lines(template, special, knows_parts))


if __name__ == "__main__":
    main()
