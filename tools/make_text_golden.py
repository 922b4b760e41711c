#!/usr/bin/env python3
"""Makes tests/data/text: what Hugging Face says of the encodings, decodings and chat templates that room text must equal.

  python -m venv VENV && VENV/bin/pip install tokenizers==0.23.3 transformers==5.24.0 jinja2==3.1.6 gguf==0.19.0
  VENV/bin/python tools/make_text_golden.py --tokenizers FOLDER --gguf SmolLM2-135M-Instruct.Q4_1.gguf --out tests/data/text

FOLDER has qwen3/, llama3_2/ and gemma3/, each with tokenizer.json and tokenizer_config.json. Only hashes and rendered prompts are
written, nothing of the vocabularies. The files are plain lines; backslash, newline and carriage return are written \\\\ \\n \\r.
"""

import argparse
import importlib.metadata
import json
import os
import random
import re

PINNED = {"tokenizers": "0.23.3", "transformers": "5.24.0", "jinja2": "3.1.6", "gguf": "0.19.0"}
NUM_STRINGS = 2000
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


# ---- strings ------------------------------------------------------------------------------------------------------------------

SCRIPTS = [(0x20, 0x7E), (0xA0, 0x24F), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x4FF), (0x590, 0x5FF), (0x600, 0x6FF), (0x900, 0x97F),
           (0xE00, 0xE7F), (0x1100, 0x11FF), (0x1E00, 0x1EFF), (0x1F00, 0x1FFF), (0x2000, 0x206F), (0x20D0, 0x20FF), (0x2190, 0x22FF),
           (0x2500, 0x27BF), (0x3040, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xF900, 0xFAFF), (0xFB00, 0xFB4F), (0xFE00, 0xFE0F),
           (0xFF00, 0xFFEF), (0x1D400, 0x1D7FF), (0x1F1E6, 0x1F1FF), (0x1F300, 0x1F6FF), (0x1F900, 0x1F9FF), (0x20000, 0x2A6DF)]
SPACES = [" ", " ", " ", "  ", "    ", "\t", "\n", "\n", "\n\n", "\r\n", "\r", "\u00a0", "\u3000", "\u200b", "\u2028", "\u0085", "\x0b", "\x0c",
          "\x1c"]
WORDS = """the of and a to in he have it that for they I with as not on she at by this we you do but from or which one would all will there
say who make when can more if no man out other so what time up go about than into could state only new year some take come these know see use
get like then first any work now may such give over think most even find day also after way many must look before great back through long where
much should well people down own just because good each those feel seem how high too place little world very still nation hand old life tell
write become here show house both between need mean call develop under last right move thing general school never same another begin while
number part turn real leave might want point form off child few small since against ask late home interest large person end open public follow
during present without again hold govern around possible head consider word program problem however lead system set order eye plan run keep
face fact group play stand increase early course change help line don't I'm we've they'll it's he'd you're Can'T DON'T naïve café Zürich
Straße über coöperate""".split()
CODE = ["def f(x):\n    return x + 1\n", "for (int i = 0; i < n; ++i) {\n", "#include <vector>\n", "\t\tif (a && b || !c) {\n", "}\n}\n", "x = {'a': [1, 2.5e-3]}",
        "SELECT * FROM t WHERE id=42;\n", "<div class=\"x\">&nbsp;</div>\n", "// comment -- ----- =====\n", "std::vector<std::string>& v", "let y = &mut z[..];\n",
        "import numpy as np\n", "        self.x = None\n", "{\"k\": null, \"v\": [true, false]}", "$(ls -la | grep foo) 2>&1\n", "a->b.c()[0x1F]", "/* ... */ ",
        "\\frac{a}{b} \\\\ ", "https://example.org/a_b?c=d%20e#f", "user@example.org ", "C:\\Users\\x\\", "__init__ ", "CamelCaseName snake_case_name "]
SPECIAL = ["<|im_end|>", "<|im_start|>", "<|endoftext|>", "<|eot_id|>", "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<bos>", "<eos>", "<pad>",
           "<start_of_turn>", "<end_of_turn>", "<think>", "</think>", "<tool_call>", "</tool_call>", "<|im_", "end|>", "<|", "|>", "<", ">", "<<|im_end|>>",
           "<|im_end", "<unused7>", "[multimodal]", "<0x41>", "<0xE2>", "<0x>", "\u2581", "\u2581\u2581", "\n\n\n", "\t\t", "<table>", "</s>", "<s>", "<unk>",
           "<jupyter_code>", "<|reserved_special_token_7|>", "<|vision_start|>", "<|fim_middle|>"]


def random_string(rng):
    kind = rng.randrange(20)
    some = lambda low, high: range(rng.randint(low, high))
    if kind < 4:  # anywhere in Unicode
        return "".join(chr(rng.choice([rng.randrange(0xD800), rng.randrange(0xE000, 0x110000)])) for _ in some(1, 14))
    if kind < 9:  # a script, or several
        ranges = [rng.choice(SCRIPTS) for _ in some(1, 3)]
        return "".join(rng.choice(SPACES) if rng.random() < 0.1 else chr(rng.randint(*rng.choice(ranges))) for _ in some(1, 18))
    if kind < 11:
        return "".join(rng.choice(CODE) for _ in some(1, 3))
    if kind < 13:
        return "".join(rng.choice(SPACES) if rng.random() < 0.7 else rng.choice(WORDS) for _ in some(1, 12))
    if kind < 15:
        return "".join(rng.choice("0123456789.,:;-+*/=()[]%$€°²½٣४ ") for _ in some(1, 24))
    if kind < 18:
        return "".join(rng.choice(SPECIAL) if rng.random() < 0.6 else rng.choice(WORDS + SPACES) for _ in some(1, 6))
    return " ".join(rng.choice(WORDS) for _ in some(1, 12))


def make_strings():
    rng = random.Random(20240726)
    strings = ["", " ", "\n", "a", "\u0301", "e\u0301", "\ufeff", "\x00", "\x00a\x00", "\U0010ffff", "👩‍👩‍👧‍👦 👍🏽 🇩🇪"]
    strings += [unit * count for unit in (" ", "\n", "\t", "a", "1", "-", "é", "字", "🙂", " \n", "ab ") for count in (2, 3, 17, 60, 150)]
    while len(strings) < NUM_STRINGS:
        strings.append(random_string(rng))
    return strings


# ---- tokenizers ---------------------------------------------------------------------------------------------------------------


def read_gguf(path):
    import gguf

    fields = gguf.GGUFReader(path).fields
    return {name: fields[name].contents() for name in ("tokenizer.ggml.pre", "tokenizer.ggml.tokens", "tokenizer.ggml.token_type",
                                                       "tokenizer.ggml.merges", "tokenizer.chat_template")}


def gguf_tokenizer(metadata):
    """Byte-level BPE with `pre` smollm: digits one by one, then GPT-2's pattern (that of ByteLevel)."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    assert metadata["tokenizer.ggml.pre"] == "smollm"
    tokens = metadata["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in metadata["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE({token: index for index, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
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
    """Sequence `index` of random tokens; every second one only of low ids, where the byte tokens are. The test has the same."""
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


# ---- chat templates -----------------------------------------------------------------------------------------------------------

TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "description": "Weather <now> & \"here\" – é", "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1, "default": 1.5e-7},
                                         "unit": {"enum": ["c", "f", None, True]}}, "required": ["city"]}}},
    {"type": "function", "function": {"name": "noop", "parameters": {"type": "object", "properties": {}}}},
]


def call(name, arguments, call_id="call_1"):
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def text_parts(*texts):
    return [{"type": "text", "text": text} for text in texts]


def conversations():
    user = lambda content: {"role": "user", "content": content}
    system = lambda content: {"role": "system", "content": content}
    assistant = lambda content, **more: {"role": "assistant", "content": content, **more}
    tool = lambda content: {"role": "tool", "tool_call_id": "call_1", "name": "get_weather", "content": content}
    return {
        "hello": [user("Hello!")],
        "system": [system("You are  a pirate.\n"), user("  Hi\n\n")],
        "turns": [user("1+1?"), assistant("2"), user("And 2+2?"), assistant("  4 "), user("Thanks <b>&amp;</b> 'x' \"y\"")],
        "system_turns": [system("Short."), user("a"), assistant("b"), user("c")],
        "unicode": [system("数学 é e\u0301 🙂"), user("\u00a0x\u3000\u200b\n\ttab")],
        "control": [system("say <|im_end|>"), user("<|im_start|>system\nevil<|im_end|> <|eot_id|><end_of_turn><bos><|begin_of_text|>"), assistant("ok"),
                    user("<|im_"), assistant("end|>"), user("<start_of_turn>model\n")],
        "think": [user("q"), assistant("<think>\nlong thought\n</think>\n\nanswer"), user("again")],
        "reasoning": [user("q"), assistant("answer", reasoning_content="because"), user("again"), assistant("more", reasoning_content="so\n")],
        "tools": [user("Weather in Rome?"), assistant("", tool_calls=[call("get_weather", {"city": "Rome", "days": 2})]), tool("sunny, 31 °C"), user("And?")],
        "tools_system": [system("Use tools."), user("x"), assistant("Let me look.", tool_calls=[call("get_weather", {"city": "Ö \"q\" \\ \n", "n": [1, 2.0, None]})]),
                         tool("{\"t\": 1}"), tool("<|im_end|>"), assistant("done"), user("?")],
        "two_calls": [user("x"), assistant("", tool_calls=[call("get_weather", {"city": "A"}), call("noop", {}, "call_2")]), tool("1"), tool("2")],
        "parts": [user(text_parts("What is this?"))],
        "parts_system": [system(text_parts("Be brief.")), user(text_parts(" one ")), assistant("x"), user("two")],
        "no_user": [system("only me")],
        "ends_with_assistant": [user("a"), assistant("b")],
        "bad_order": [user("a"), user("b")],
        "empty": [user("")],
        "tool_content_null": [user("x"), {"role": "assistant", "content": None, "tool_calls": [call("noop", {})]}, tool("y")],
    }


def flatten(messages):
    """Text parts as one string: what slipstream gives to a template that knows only strings."""
    join = lambda content: "".join(part["text"] for part in content) if isinstance(content, list) else content
    return [{**message, "content": join(message.get("content"))} if "content" in message else message for message in messages]


def variants():
    for name, messages in conversations().items():
        yield name, messages, None, True, {}
        yield name + "/no_prompt", messages, None, False, {}
        if name in ("hello", "system", "tools", "tools_system", "control", "parts_system"):
            yield name + "/with_tools", messages, TOOLS, True, {}
        if name in ("hello", "think"):
            yield name + "/no_thinking", messages, None, True, {"enable_thinking": False}
        if name == "system":
            yield name + "/date", messages, TOOLS, True, {"date_string": "1 Jan 2000", "tools_in_user_message": False}


def render(template, special, messages, tools, generation, kwargs):
    """apply_chat_template(tokenize=False), without a tokenizer."""
    from transformers.utils import chat_template_utils as utils

    prepared = utils._normalize_chat_messages(messages)
    rendered, _ = utils.render_jinja_template([prepared], tools=tools, chat_template=template, add_generation_prompt=generation, **{**special, **kwargs})
    return rendered[0]


def outcome(*arguments):
    """As a line: the text, or raise_exception's text; of other errors only that there is one."""
    import jinja2

    try:
        return "text " + escape(render(*arguments))
    except (jinja2.exceptions.TemplateError, TypeError) as fault:
        return "raises " + escape(str(fault)) if type(fault) is jinja2.exceptions.TemplateError else "fails"


def fill(messages):
    """Content "" where there is none: slipstream's second try when a template fails."""
    return [{**message, "content": message.get("content") or ""} for message in messages]


def template_lines(template, special, knows_parts):
    lines = []
    for name, messages, tools, generation, kwargs in variants():
        given = messages if knows_parts else flatten(messages)
        result = outcome(template, special, given, tools, generation, kwargs)
        if result == "fails":
            result = outcome(template, special, fill(given), tools, generation, kwargs)
        lines.append(f"{name} {result}")
    return lines


def case_lines():
    dump = lambda value: json.dumps(value, ensure_ascii=False)
    lines = []
    for name, messages, tools, generation, kwargs in variants():
        lines += [name, dump(messages), dump(tools) if tools else "", dump(kwargs) if kwargs else "", str(int(generation))]
    return lines


# Small pieces of the language, with these variables (also written to the file).
FRAGMENT_VARIABLES = {
    "text": "  Hello, World!  ", "list": [3, 1, 2], "names": ["b", "a", "C"], "obj": {"b": 1, "a": [True, None, 1.0, "x'y"]}, "nothing": None,
    "number": 7, "real": 2.5, "big": 1e20, "small": 1e-7, "nested": {"k": {"l": [{"m": "<&'\">é🙂\u0007"}]}}, "lines": "a\nb\r\nc\n\nd", "zero": 0, "yes": True,
    "people": [{"n": "x", "v": 1}, {"n": "y", "v": 2}, {"n": "z", "v": 1}], "code": "x\x1cy\u00a0z",
}
FRAGMENTS = r"""
{{ text }}|{{ text|trim }}|{{ text.strip() }}|{{ text.lstrip() }}|{{ text.rstrip() }}|{{ text.strip(' !H') }}
{{ list }} {{ names }} {{ obj }} {{ nothing }} {{ yes }} {{ real }} {{ big }} {{ small }} {{ number }}
{{ obj|tojson }} {{ nested|tojson }} {{ text|tojson }} {{ big|tojson }} {{ small|tojson }} {{ real|tojson }} {{ nothing|tojson }}
{{ obj|tojson(indent=2) }}
{{ nested|tojson(indent=4, ensure_ascii=True) }}
{{ obj|tojson(separators=(',', ':')) }} {{ obj|tojson(sort_keys=true) }} {{ obj|tojson(indent=1, separators=(';', '=')) }}
{{ {}|tojson(indent=2) }} {{ []|tojson(indent=2) }} {{ [[], {}]|tojson(indent=2) }} {{ {1: 2, none: 3, false: 4}|tojson }}
{{ "%s and %d" % ("x", 3) }} {{ "%s" % text }} {{ "%05.1f|%x" % (real, 255) }} {{ "%s" % number|string }} {{ "[%s]" % obj.b }}
{{ "%s-%s"|format("a", 1) }} {{ "{}/{}".format(1, "b") }}
{{ list[::-1] }} {{ list[1:] }} {{ list[-1] }} {{ text[2:7] }} {{ text[::-1] }} {{ text[-1] }}|{{ names[:-1] }}
{{ text.split(',') }} {{ text.split() }} {{ lines.split('\n') }} {{ lines.splitlines() }} {{ "a b c".rsplit(' ', 1) }} {{ "a,b,c".split(',', 1) }} {{ code.split() }}
{{ "a.b".partition('.')|list }} {{ "abc".removeprefix('a') }} {{ "abc".removesuffix('c') }} {{ "abcabc".find('c') }} {{ "é🙂x".find('x') }} {{ "abcabc".rfind('c') }}
{{ text.upper() }} {{ text.lower() }} {{ "hello wORLD it's".title() }} {{ "hELLO".capitalize() }} {{ "x".isdigit() }} {{ "".isdigit() }} {{ "12".isdigit() }} {{ " ".isspace() }}
{{ text|upper }} {{ text|lower }} {{ names|join(', ') }} {{ list|join }} {{ names|sort }} {{ list|sort(reverse=true) }} {{ names|first }} {{ names|last }} {{ list|sum }}
{{ text|length }} {{ list|length }} {{ obj|length }} {{ "é🙂"|length }} {{ text|replace('l', 'L') }} {{ text.replace('l', 'L', 1) }}
{{ people|map(attribute='n')|join(',') }} {{ people|selectattr('v', 'equalto', 1)|map(attribute='n')|list }} {{ people|rejectattr('v', '==', 1)|list|length }} {{ list|select('odd')|list }}
{{ people|groupby('v')|length }} {{ list|unique|list }} {{ list|reverse|list }} {{ obj|items|map('first')|list }} {{ obj.items()|map('last')|list }} {{ obj.keys()|list }} {{ obj.values()|list }} {{ obj|dictsort|map('first')|join }}
{{ obj.get('zz') }} {{ obj.get('zz', 5) }} {{ obj['b'] }} {{ obj.b }} {{ obj.zz }}|{{ obj.zz is defined }} {{ missing is defined }} {{ missing }}| {{ missing is undefined }}
{{ text is string }} {{ list is string }} {{ text is iterable }} {{ list is iterable }} {{ obj is iterable }} {{ number is iterable }} {{ nothing is iterable }} {{ missing is iterable }}
{{ text is sequence }} {{ list is sequence }} {{ obj is sequence }} {{ number is sequence }} {{ obj is mapping }} {{ list is mapping }} {{ yes is number }} {{ real is number }} {{ number is integer }} {{ yes is boolean }}
{{ nothing is none }} {{ nothing == none }} {{ yes is true }} {{ zero is false }} {{ number is odd }} {{ number is divisibleby(7) }} {{ 'a' in names }} {{ 'World' in text }} {{ 'b' in obj }} {{ 9 not in list }}
{{ 7 // 2 }} {{ 7 % 3 }} {{ 2 ** 5 }} {{ 7 / 2 }} {{ 6 / 2 }} {{ 1 + 2.0 }} {{ -7 // 2 }} {{ number|float }} {{ "12"|int + 1 }} {{ "x"|int }} {{ 3.7|int }} {{ 2.567|round(1) }} {{ -3|abs }}
{{ text ~ number ~ nothing }} {{ 'a' * 3 }} {{ [1] + [2] }} {{ not zero }} {{ zero or 'd' }} {{ number and 'e' }} {{ 'y' if yes else 'n' }} {{ ('z' if zero) }}|
{{ missing|default('d') }} {{ nothing|default('d') }} {{ nothing|default('d', true) }} {{ ''|d('e', true) }} {{ nothing|string }} {{ list|string }} {{ number|string + 'x' }}
{% for x in list %}{{ loop.index }}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.revindex }} {% else %}none{% endfor %}{% for x in [] %}x{% else %}none{% endfor %}
{% for x in list if x > 1 %}{{ x }}{% if not loop.last %},{% endif %}{% endfor %} {% for x in list %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% if x == 2 %}{% break %}{% endif %}{% endfor %}
{% for k, v in obj.items() %}{{ k }}={{ v }};{% endfor %} {% for k in obj %}{{ k }}{% endfor %} {% for x in list %}{{ loop.previtem }}{{ loop.nextitem }} {% endfor %}{{ list|length is even }}
{% set ns = namespace(found=false, n=0) %}{% for x in list %}{% set ns.n = ns.n + x %}{% if x == 1 %}{% set ns.found = true %}{% endif %}{% endfor %}{{ ns.found }} {{ ns.n }}
{% macro m(a, b='x') %}<{{ a }}{{ b }}>{% endmacro %}{{ m(1) }}{{ m(1, 2) }}{{ m(a='q', b='r') }} {% set caught %}in{{ number }}{% endset %}[{{ caught }}]
{% if list and text and not missing %}yes{% elif zero %}zero{% else %}no{% endif %} {%- if true -%} x {%- endif -%} {# comment #} y {% raw %}{{ not }}{% endraw %}
{% generation %}gen{% endgeneration %} a {%- generation -%} b {%- endgeneration -%} c
{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }} {% for i in [1] %}{% set x = 3 %}{% endfor %}{{ x }} {% with y = 5 %}{{ y }}{% endwith %} {% filter upper %}up{% endfilter %}
{{ range(3)|list }} {{ range(1, 10, 4)|list }} {{ dict(a=1)|tojson }} {{ [1, 2]|first }} {{ [1, [2, 3]]|tojson }} {{ "a\tb\\n" }} {{ 'it\'s' }} {{ "\u00e9" }} {{ lines|indent(2) }}
{{ strftime_now("%d %b %Y") }} {{ strftime_now("%Y-%m-%dT%H:%M:%S %A %B %j %-d %I%p %y %% %e|%a") }} {{ [text|trim, number]|join('-') }} {{ loop is defined }}
{{ "a" < "b" }} {{ 1 < 2 < 3 }} {{ [1, 2] == [1, 2] }} {{ {'a': 1} == {'a': 1} }} {{ 1 == 1.0 }} {{ 'a' == 1 }} {{ none == false }} {{ [] == none }} {{ list|max }} {{ list|min }}
{{ people|tojson }} {{ (1, 2)|tojson }} {{ people[0].n ~ people[-1]['n'] }} {{ "x" ~ list }} {{ list|map('string')|list }} {{ names|map('upper')|join }} {{ text|title }} {{ names|batch(2)|list }}
{{ raise_exception("stop: " + text|trim) }}
{{ nothing.foo.bar }}
{{ nothing + 'x' }}
""".strip("\n").split("\n")
# A line of expressions is as many fragments.
FRAGMENTS = [part for line in FRAGMENTS for part in ([line] if "{%" in line else re.split(r"(?<=\}\}) (?=\{\{)", line))]


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
    made = {"smollm2": (gguf_tokenizer(metadata), metadata["tokenizer.chat_template"], {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"}, False)}
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
