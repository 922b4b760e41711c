"""The strings that make_text_golden.py encodes: all over Unicode, code, white space, digits, special tokens, runs."""

import random

NUM_STRINGS = 2000

SCRIPTS = [
    (0x20, 0x7E),
    (0xA0, 0x24F),
    (0x300, 0x36F),
    (0x370, 0x3FF),
    (0x400, 0x4FF),
    (0x590, 0x5FF),
    (0x600, 0x6FF),
    (0x900, 0x97F),
    (0xE00, 0xE7F),
    (0x1100, 0x11FF),
    (0x1E00, 0x1EFF),
    (0x1F00, 0x1FFF),
    (0x2000, 0x206F),
    (0x20D0, 0x20FF),
    (0x2190, 0x22FF),
    (0x2500, 0x27BF),
    (0x3040, 0x30FF),
    (0x4E00, 0x9FFF),
    (0xAC00, 0xD7A3),
    (0xF900, 0xFAFF),
    (0xFB00, 0xFB4F),
    (0xFE00, 0xFE0F),
    (0xFF00, 0xFFEF),
    (0x1D400, 0x1D7FF),
    (0x1F1E6, 0x1F1FF),
    (0x1F300, 0x1F6FF),
    (0x1F900, 0x1F9FF),
    (0x20000, 0x2A6DF),
]
SPACES = [
    " ",
    " ",
    " ",
    "  ",
    "    ",
    "\t",
    "\n",
    "\n",
    "\n\n",
    "\r\n",
    "\r",
    "\u00a0",
    "\u3000",
    "\u200b",
    "\u2028",
    "\u0085",
    "\x0b",
    "\x0c",
    "\x1c",
]
WORDS = """
the of and a to in he have it that for they I with as not on she at by this we you do but from or which one would
all will there say who make when can more if no man out other so what time up go about than into could state only
new year some take come these know see use get like then first any work now may such give over think most even find
day also after way many must look before great back through long where much should well people down own just because
good each those feel seem how high too place little world very still nation hand old life tell write become here
show house both between need mean call develop under last right move thing general school never same another begin
while number part turn real leave might want point form off child few small since against ask late home interest
large person end open public follow during present without again hold govern around possible head consider word
program problem however lead system set order eye plan run keep face fact group play stand increase early course
change help line don't I'm we've they'll it's he'd you're Can'T DON'T naïve café Zürich Straße über coöperate
""".split()
CODE = [
    "def f(x):\n    return x + 1\n",
    "for (int i = 0; i < n; ++i) {\n",
    "#include <vector>\n",
    "\t\tif (a && b || !c) {\n",
    "}\n}\n",
    "x = {'a': [1, 2.5e-3]}",
    "SELECT * FROM t WHERE id=42;\n",
    '<div class="x">&nbsp;</div>\n',
    "// comment -- ----- =====\n",
    "std::vector<std::string>& v",
    "let y = &mut z[..];\n",
    "import numpy as np\n",
    "        self.x = None\n",
    '{"k": null, "v": [true, false]}',
    "$(ls -la | grep foo) 2>&1\n",
    "a->b.c()[0x1F]",
    "/* ... */ ",
    "\\frac{a}{b} \\\\ ",
    "https://example.org/a_b?c=d%20e#f",
    "user@example.org ",
    "C:\\Users\\x\\",
    "__init__ ",
    "CamelCaseName snake_case_name ",
]
SPECIAL = [
    "<|im_end|>",
    "<|im_start|>",
    "<|endoftext|>",
    "<|eot_id|>",
    "<|begin_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<bos>",
    "<eos>",
    "<pad>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    "<|im_",
    "end|>",
    "<|",
    "|>",
    "<",
    ">",
    "<<|im_end|>>",
    "<|im_end",
    "<unused7>",
    "[multimodal]",
    "<0x41>",
    "<0xE2>",
    "<0x>",
    "\u2581",
    "\u2581\u2581",
    "\n\n\n",
    "\t\t",
    "<table>",
    "</s>",
    "<s>",
    "<unk>",
    "<jupyter_code>",
    "<|reserved_special_token_7|>",
    "<|vision_start|>",
    "<|fim_middle|>",
]


def random_string(rng):
    kind = rng.randrange(20)
    some = lambda low, high: range(rng.randint(low, high))
    if kind < 4:  # anywhere in Unicode
        return "".join(chr(rng.choice([rng.randrange(0xD800), rng.randrange(0xE000, 0x110000)])) for _ in some(1, 14))
    if kind < 9:  # a script, or several
        ranges = [rng.choice(SCRIPTS) for _ in some(1, 3)]
        return "".join(
            rng.choice(SPACES) if rng.random() < 0.1 else chr(rng.randint(*rng.choice(ranges))) for _ in some(1, 18)
        )
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
    strings = [
        "",
        " ",
        "\n",
        "a",
        "\u0301",
        "e\u0301",
        "\ufeff",
        "\x00",
        "\x00a\x00",
        "\U0010ffff",
        "👩‍👩‍👧‍👦 👍🏽 🇩🇪",
    ]
    strings += [
        unit * count
        for unit in (" ", "\n", "\t", "a", "1", "-", "é", "字", "🙂", " \n", "ab ")
        for count in (2, 3, 17, 60, 150)
    ]
    while len(strings) < NUM_STRINGS:
        strings.append(random_string(rng))
    return strings
