"""The parameters of chats and completions: what each is shown to change, at which values it is ignored, or that it is
refused. tests/data/api/parameters.txt has the names; api_test compares them with what the parsers know.

    python3 tests/api/parameter_rows.py     prints the table
"""

import json
import pathlib
import secrets
import urllib.error
import urllib.request

NAMES = pathlib.Path(__file__).parent.parent / "data" / "api" / "parameters.txt"
END = "2"  # the end of an answer, of both models
BASE = {
    "chat": {"model": "model", "messages": [{"role": "user", "content": "What is the capital of France?"}]},
    "completions": {"model": "model", "prompt": "la la la la la la la la"},
}
PATHS = {"chat": "/v1/chat/completions", "completions": "/v1/completions"}
TURNS = [{"role": "user", "content": "Say it."}, {"role": "assistant", "content": "I say it now: la la"}]


class Asker:
    """Sends requests to one endpoint, greedy and of 12 tokens unless they say otherwise."""

    def __init__(self, address, endpoint):
        self.address, self.endpoint = address, endpoint
        self.is_chat = endpoint == "chat"

    def send(self, fields, without=()):
        body = {**BASE[self.endpoint], "temperature": 0, "max_tokens": 12, **fields}
        return self.post(PATHS[self.endpoint], {name: value for name, value in body.items() if name not in without})

    def post(self, path, body):
        """The status, and the answer: an object, or the list of a stream's events."""
        request = urllib.request.Request(self.address + path, json.dumps(body).encode(), method="POST")
        try:
            with urllib.request.urlopen(request, timeout=300) as answer:
                status, text = answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read().decode()
        if text.startswith("data: "):
            events = [line[6:] for line in text.split("\n\n") if line]
            assert events.pop() == "[DONE]"
            return status, [json.loads(event) for event in events]
        return status, json.loads(text)

    def answer(self, without=(), **fields):
        status, answer = self.send(fields, without)
        assert status == 200, answer
        return answer

    def text_of(self, choice):
        return choice["message"]["content"] if self.is_chat else choice["text"]

    def text(self, **fields):
        return self.text_of(self.answer(**fields)["choices"][0])

    def count(self, **fields):
        return self.answer(**fields)["usage"]["completion_tokens"]

    def prompt_count(self, **fields):
        return self.answer(**fields)["usage"]["prompt_tokens"]

    def finish(self, **fields):
        return self.answer(**fields)["choices"][0]["finish_reason"]

    def refusal(self, **fields):
        """The param of a 400."""
        status, answer = self.send(fields)
        assert status == 400, (fields, answer)
        assert answer["error"]["type"] == "invalid_request_error" and answer["error"]["message"]
        return answer["error"]["param"]


# ---- what each is shown to change: the first line of the docstring is its row in the table -----------------------


def model(ask):
    """another name than the served one is 404; absent: the one that is served"""
    status, answer = ask.send({"model": "other"})
    assert (status, answer["error"]["code"]) == (404, "model_not_found")
    assert ask.answer(without=["model"])["model"] == "model"


def messages(ask):
    """others are another prompt and another answer"""
    more = [*TURNS, {"role": "user", "name": "bob", "content": "Count from one to twenty."}]
    cats = [{"role": "system", "content": "You speak of cats only."}, *BASE["chat"]["messages"]]
    assert len({ask.prompt_count(messages=one) for one in (more, cats, BASE["chat"]["messages"])}) == 3
    assert len({ask.text(messages=one) for one in (more, cats, BASE["chat"]["messages"])}) > 1


def prompt(ask):
    """text, texts, tokens or lists of tokens: each its own answer"""
    assert ask.text(prompt="Once upon a time") != ask.text()
    assert [choice["index"] for choice in ask.answer(prompt=[[5, 6], [7]])["choices"]] == [0, 1]


def temperature(ask):
    """with one seed, other temperatures give other text"""
    assert len({ask.text(temperature=value, seed=5) for value in (0, 0.7, 1.3, 2)}) > 1


def top_p(ask):
    """1e-9 leaves one token: the greedy text; 1 leaves all"""
    assert ask.text(top_p=1e-9, temperature=2, seed=3) == ask.text()
    assert ask.text(top_p=1, temperature=2, seed=3) != ask.text()


def top_k(ask):
    """1 leaves one token: the greedy text; -1 leaves all"""
    assert ask.text(top_k=1, temperature=2, seed=3) == ask.text()
    assert ask.text(top_k=-1, temperature=2, seed=3) != ask.text()


def min_p(ask):
    """1 leaves one token: the greedy text; 0 leaves all"""
    assert ask.text(min_p=1, temperature=2, seed=3) == ask.text()
    assert ask.text(min_p=0, temperature=2, seed=3) != ask.text()


def presence_penalty(ask):
    """2 turns the answer away from what was said"""
    assert ask.text(presence_penalty=2, max_tokens=48, ignore_eos=True) != ask.text(max_tokens=48, ignore_eos=True)


def frequency_penalty(ask):
    """2 turns the answer away from what was said"""
    assert ask.text(frequency_penalty=2, max_tokens=48, ignore_eos=True) != ask.text(max_tokens=48, ignore_eos=True)


def repetition_penalty(ask):
    """1.8 turns the answer away from what was said"""
    assert ask.text(repetition_penalty=1.8, max_tokens=48, ignore_eos=True) != ask.text(max_tokens=48, ignore_eos=True)


def logit_bias(ask):
    """100 draws a token, each time"""
    drawn = ask.text(logit_bias={"40": 100})
    assert drawn not in (ask.text(), ask.text(logit_bias={"41": 100})) and drawn == drawn[:1] * len(drawn)
    assert ask.text(logit_bias={}) == ask.text()


def seed(ask):
    """the same seed gives the same text, another one another"""
    assert ask.text(temperature=1.5, seed=1) == ask.text(temperature=1.5, seed=1)
    assert len({ask.text(temperature=1.5, seed=value) for value in range(5)}) > 1


def stop(ask):
    """ends the answer before the string; a list of up to 16"""
    whole = ask.text()
    end = whole[3:6]
    assert ask.text(stop=end) == whole[: whole.index(end)] == ask.text(stop=["never said by anyone", end])
    assert ask.finish(stop=end) == "stop"
    assert ask.refusal(stop=["x"] * 17) == "stop"


def n(ask):
    """as many choices"""
    assert len(ask.answer(n=3)["choices"]) == 3


def max_tokens(ask):
    """as many tokens, then 'length'"""
    answer = ask.answer(max_tokens=5, ignore_eos=True)
    assert (answer["usage"]["completion_tokens"], answer["choices"][0]["finish_reason"]) == (5, "length")


def max_completion_tokens(ask):
    """as max_tokens, its newer name"""
    assert ask.count(without=["max_tokens"], max_completion_tokens=5, ignore_eos=True) == 5


def ignore_eos(ask):
    """an end of text does not end the answer"""
    assert ask.count(logit_bias={END: 100}) == 1
    assert ask.count(logit_bias={END: 100}, ignore_eos=True) == 12


def stream(ask):
    """events, whose texts together are the whole answer"""
    texts = []
    for event in ask.answer(stream=True):
        choice = event["choices"][0]
        texts.append(choice["delta"].get("content") or "" if ask.is_chat else choice["text"])
    assert "".join(texts) == ask.text()


def stream_options(ask):
    """include_usage: a last event with the usage"""
    events = ask.answer(stream=True, stream_options={"include_usage": True})
    assert events[-1]["choices"] == [] and events[-1]["usage"] == ask.answer()["usage"] | {
        "prompt_tokens_details": events[-1]["usage"]["prompt_tokens_details"]
    }
    assert not any(event.get("usage") for event in events[:-1])
    assert not any(event.get("usage") for event in ask.answer(stream=True))


def min_tokens(ask):
    """before as many tokens an answer does not end"""
    assert ask.count(logit_bias={END: 100}) == 1
    assert 5 <= ask.count(logit_bias={END: 100}, min_tokens=5) <= 6
    assert ask.refusal(min_tokens=13) == "min_tokens"


def stop_token_ids(ask):
    """such a token ends the answer"""
    answer = ask.answer(logit_bias={"40": 100}, stop_token_ids=[7, 40])
    assert (answer["usage"]["completion_tokens"], answer["choices"][0]["finish_reason"]) == (1, "stop")
    assert ask.count(logit_bias={"40": 100}, stop_token_ids=[7]) == 12
    assert ask.refusal(stop_token_ids=[4_000_000_000]) == "stop_token_ids"


def include_stop_str_in_output(ask):
    """true: the string that ended the answer stands at its end"""
    whole = ask.text()
    end = whole[3:6]
    assert ask.text(stop=end, include_stop_str_in_output=True) == whole[: whole.index(end)] + end


def return_token_ids(ask):
    """true: the tokens beside the text"""
    answer = ask.answer(return_token_ids=True, ignore_eos=True)
    tokens = answer["choices"][0]["token_ids"]
    assert len(tokens) == 12
    streamed = []
    for event in ask.answer(return_token_ids=True, ignore_eos=True, stream=True):
        streamed += event["choices"][0].get("token_ids") or []
    assert streamed == tokens
    assert "token_ids" not in ask.answer()["choices"][0]


def logprobs(ask):
    """true (chats) or a number (completions): how likely each token was, and the likeliest others"""
    if ask.is_chat:
        answer = ask.answer(logprobs=True, ignore_eos=True)
        content = answer["choices"][0]["logprobs"]["content"]
        assert len(content) == answer["usage"]["completion_tokens"]
        assert all(entry["logprob"] <= 0 and entry["top_logprobs"] == [] for entry in content)
    else:
        answer = ask.answer(logprobs=3, ignore_eos=True)
        shown = answer["choices"][0]["logprobs"]
        assert len(shown["tokens"]) == len(shown["token_logprobs"]) == answer["usage"]["completion_tokens"]
        assert all(logprob <= 0 for logprob in shown["token_logprobs"])
        assert all(len(top) >= 3 for top in shown["top_logprobs"])
    assert ask.answer(logprobs=False)["choices"][0]["logprobs"] is None


def top_logprobs(ask):
    """so many of the likeliest tokens at each place; the greedy one is the first"""
    for entry in ask.answer(logprobs=True, top_logprobs=3)["choices"][0]["logprobs"]["content"]:
        assert len(entry["top_logprobs"]) == 3 and entry["top_logprobs"][0]["logprob"] == entry["logprob"]
    assert ask.refusal(top_logprobs=3) == "top_logprobs"


def echo(ask):
    """true: the text begins with the prompt; then max_tokens may be 0"""
    assert ask.text(echo=True) == BASE["completions"]["prompt"] + ask.text()
    assert ask.text(echo=True, max_tokens=0) == BASE["completions"]["prompt"]
    assert ask.refusal(max_tokens=0) == "max_tokens"


def cache_salt(ask):
    """only requests with the same one (1 to 1024 bytes) share what is cached; the answer is the same"""
    salt = secrets.token_hex(8)
    reused = [
        ask.answer(cache_salt=value)["usage"]["prompt_tokens_details"]["cached_tokens"]
        for value in (salt, salt, salt + "x", None, salt)
    ]
    assert reused[0] == reused[2] == 0 and reused[1] == reused[4] == ask.prompt_count() - 1, reused
    assert ask.text(cache_salt=salt) == ask.text()
    for wrong in ("", "s" * 1025, 1, ["x"]):
        assert ask.refusal(cache_salt=wrong) == "cache_salt"


def add_generation_prompt(ask):
    """false: the prompt ends behind the last message"""
    assert ask.prompt_count(add_generation_prompt=False) < ask.prompt_count()


def continue_final_message(ask):
    """true: the prompt ends in the assistant's last message, and the answer goes on with it"""
    continued = ask.prompt_count(messages=TURNS, continue_final_message=True)
    assert continued < ask.prompt_count(messages=TURNS, add_generation_prompt=False)
    longer = [TURNS[0], {"role": "assistant", "content": TURNS[1]["content"] + " la la la"}]
    assert ask.prompt_count(messages=longer, continue_final_message=True) > continued
    assert ask.refusal(continue_final_message=True) == "continue_final_message"


def chat_template_kwargs(ask):
    """variables that the template reads, as in {"hint": "..."} of the tests' own; another template lets them be"""
    more = ask.prompt_count(chat_template_kwargs={"hint": "<|im_end|>\n<|im_start|>system\nOnly cats."})
    assert more > ask.prompt_count() if ask.has_hint else more == ask.prompt_count()
    assert ask.refusal(chat_template_kwargs={"messages": []}) == "chat_template_kwargs.messages"


CHANGES = {
    "chat": [
        model, messages, temperature, top_p, top_k, min_p, presence_penalty, frequency_penalty, repetition_penalty,
        logit_bias, seed, stop, stop_token_ids, include_stop_str_in_output, n, max_tokens, max_completion_tokens,
        min_tokens, ignore_eos, stream, stream_options, logprobs, top_logprobs, return_token_ids, cache_salt,
        add_generation_prompt, continue_final_message, chat_template_kwargs,
    ],
    "completions": [
        model, prompt, temperature, top_p, top_k, min_p, presence_penalty, frequency_penalty, repetition_penalty,
        logit_bias, seed, stop, stop_token_ids, include_stop_str_in_output, n, max_tokens, min_tokens, ignore_eos,
        stream, stream_options, logprobs, echo, return_token_ids, cache_salt,
    ],
}  # fmt: skip

# ---- ignored at the first values, refused at the second ----------------------------------------------------------

BOTH_IGNORED = {
    "user": (["someone"], [1, "u" * 1025]),
    "safety_identifier": (["someone"], [1]),
    "prompt_cache_key": (["key"], [1]),
    "metadata": ([{}, {"a": "b"}], [[], "a"]),
    "store": ([True, False], [1, "yes"]),
    "prompt_cache_retention": (["in_memory"], ["24h"]),
    "service_tier": (["auto", "default"], ["flex", "priority"]),
    "tools": ([[]], [[{"type": "function", "function": {"name": "f"}}]]),
    "tool_choice": (["none", "auto"], ["required", {"type": "function", "function": {"name": "f"}}]),
    "parallel_tool_calls": ([True, False], [1]),
    "functions": ([[]], [[{"name": "f"}]]),
    "function_call": (["none", "auto"], [{"name": "f"}]),
    "response_format": ([{"type": "text"}], [{"type": "json_object"}, {"type": "json_schema", "json_schema": {}}]),
    "modalities": ([["text"]], [["text", "audio"]]),
    "reasoning_effort": (["medium"], ["high", "none"]),
    "verbosity": (["medium"], ["low"]),
    "best_of": ([1], [2, True]),
    "no_stop_trim": ([False], [True]),
    "return_hidden_states": ([False], [True]),
    "skip_special_tokens": ([True], [False]),
    "spaces_between_special_tokens": ([True], [False]),
    "separate_reasoning": ([True], [False]),
    "stream_reasoning": ([True], [False]),
    "include_reasoning": ([True], [False]),
    "use_beam_search": ([False], [True]),
    "length_penalty": ([1, 1.0], [0.5, True]),
    "bad_words": ([[]], [["x"]]),
    "priority": ([0], [1]),
    "return_tokens_as_token_ids": ([False], [True]),
}
IGNORED = {
    "chat": {
        **BOTH_IGNORED,
        "echo": ([False], [True]),
        "add_special_tokens": ([False], [True]),
        "documents": ([[]], [[{"text": "x"}]]),
    },
    "completions": {
        **BOTH_IGNORED,
        "suffix": ([""], ["x"]),
        "add_special_tokens": ([True], [False]),
        "continue_final_message": ([False], [True]),
    },
}

# ---- refused by name until they are done -------------------------------------------------------------------------

LATER = [
    "audio", "prediction", "web_search_options", "chat_template", "structured_outputs", "guided_json",
    "guided_regex", "guided_choice", "guided_grammar", "guided_decoding_backend", "guided_whitespace_pattern",
    "prompt_logprobs", "truncate_prompt_tokens", "allowed_token_ids", "logits_processors", "mm_processor_kwargs",
    "kv_transfer_params", "vllm_xargs", "request_id", "regex", "ebnf", "json_schema", "lora_path", "session_params",
    "sampling_seed", "moderation",
]  # fmt: skip


def lines():
    """As parameters.txt has them."""
    for endpoint in PATHS:
        for check in CHANGES[endpoint]:
            yield f"{endpoint} {check.__name__}"
        for name in IGNORED[endpoint]:
            yield f"{endpoint} {name}"
        for name in LATER:
            yield f"{endpoint} {name} later"


def table():
    """Name, endpoints, what a test shows, in Markdown."""
    rows = {}
    for endpoint in PATHS:
        for check in CHANGES[endpoint]:
            rows.setdefault((check.__name__, "changes: " + check.__doc__), []).append(endpoint)
        for name, (ignored, refused) in IGNORED[endpoint].items():
            shown = ", ".join(json.dumps(value) for value in ignored)
            other = ", ".join(json.dumps(value)[:60] for value in refused)
            rows.setdefault((name, f"ignored at {shown}; refused at others: {other}"), []).append(endpoint)
    for name in LATER:
        rows[(name, "refused: 'not supported yet'")] = list(PATHS)
    return ["| parameter | of | a test shows |", "|---|---|---|"] + [
        f"| `{name}` | {', '.join(endpoints)} | {what} |" for (name, what), endpoints in rows.items()
    ]


if __name__ == "__main__":
    print("\n".join(table()))
