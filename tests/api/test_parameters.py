"""Every parameter has a row in parameter_rows.py, and every row is true."""

import json
import re

import pytest

import parameter_rows
from parameter_rows import CHANGES, IGNORED, LATER, PATHS


def test_every_parameter_has_a_row():
    names = parameter_rows.NAMES.read_text().split("\n")[:-1]
    rows = list(parameter_rows.lines())
    assert sorted(rows) == names and len(set(rows)) == len(rows)


@pytest.fixture(scope="module", params=list(PATHS))
def ask(request, server):
    asker = parameter_rows.Asker(server.address, request.param)
    asker.has_hint = not server.is_real
    return asker


def rows_of(table):
    return sorted({row if isinstance(row, str) else row.__name__ for endpoint in PATHS for row in table[endpoint]})


@pytest.mark.parametrize("name", rows_of(CHANGES))
def test_it_changes_something(ask, name):
    checks = {check.__name__: check for check in CHANGES[ask.endpoint]}
    if name not in checks:
        assert name in IGNORED[ask.endpoint] or ask.refusal(**{name: True}) == name
        return
    checks[name](ask)


@pytest.mark.parametrize("name", rows_of(IGNORED))
def test_it_is_ignored_at_its_values_alone(ask, name):
    if name not in IGNORED[ask.endpoint]:
        assert name in [check.__name__ for check in CHANGES[ask.endpoint]] or ask.refusal(**{name: True}) == name
        return
    ignored, refused = IGNORED[ask.endpoint][name]
    plain = ask.text()
    for value in [*ignored, None]:
        assert ask.text(**{name: value}) == plain, value
    for value in refused:
        assert ask.refusal(**{name: value}) == name, value


@pytest.mark.parametrize("name", LATER)
def test_what_is_not_done_yet_is_refused_by_name(ask, name):
    status, answer = ask.send({name: {}})
    assert (status, answer["error"]["param"]) == (400, name) and "not supported yet" in answer["error"]["message"]
    assert ask.text(**{name: None}) == ask.text()


def test_unknown_and_doubled_names_are_refused_by_name(ask):
    assert ask.refusal(temprature=1) == "temprature"
    assert ask.refusal(Temperature=None) == "Temperature"


def test_the_options_of_a_stream(ask):
    def options(**values):
        return {"stream": True, "stream_options": values}

    assert ask.answer(**options(include_obfuscation=False))
    counted = ask.answer(**options(continuous_usage_stats=True))
    numbers = [event["usage"]["completion_tokens"] for event in counted]
    assert numbers == sorted(numbers) and numbers[-1] == ask.count()
    assert ask.refusal(**options(include_obfuscation=True)) == "stream_options.include_obfuscation"
    assert ask.refusal(**options(include_usage=1)) == "stream_options.include_usage"
    assert ask.refusal(**options(other=None)) == "stream_options.other"
    assert ask.refusal(stream_options={"include_usage": True}) == "stream_options"


def test_numbers_are_strict(ask):
    for name in ("max_tokens", "min_tokens", "n", "best_of", "seed", "top_k"):
        for wrong in (True, 1.0, 1.5, 1e30, "1", [1], 2**63):
            assert ask.refusal(**{name: wrong}) == name, (name, wrong)
    for name in ("temperature", "top_p", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty"):
        for wrong in (True, 1e30, -1e30, "1", [1], 2**64):
            assert ask.refusal(**{name: wrong}) == name, (name, wrong)
        assert ask.refusal(**{name: float("nan")}) is None  # Python writes NaN, which is no JSON


# ---- the context ------------------------------------------------------------------------------------------------


@pytest.fixture
def small(ask):
    if not ask.has_hint:
        pytest.skip("a context of thousands of tokens takes minutes; the tiny model has a small one")
    return ask


def test_prompt_and_answer_end_with_the_context(small):
    """max_tokens beyond it is no error: the answer ends with 'length'."""
    ask = small
    limit = context_of(ask)
    fields = {"max_tokens": 10 * limit, "ignore_eos": True}
    if ask.is_chat:
        fields["messages"] = [{"role": "user", "content": long_text(ask, limit - 60)}]
    else:
        fields["prompt"] = [5] * (limit - 20)
    answer = ask.answer(**fields)
    usage = answer["usage"]
    assert usage["total_tokens"] == limit and answer["choices"][0]["finish_reason"] == "length"


def test_a_prompt_beyond_the_context_is_refused_with_both_numbers(ask):
    limit = context_of(ask)
    long = long_text(ask, limit + 100)
    tokens = [5] * (limit + 100)
    prompts = [] if ask.is_chat else [long, ["x", long], tokens, [[5], tokens]]
    bodies = [{"prompt": prompt} for prompt in prompts] or [{"messages": [{"role": "user", "content": long}]}]
    for body in bodies:
        for stream in (False, True):
            status, answer = ask.send({**body, "stream": stream})
            error = answer["error"]
            assert (status, error["code"]) == (400, "context_length_exceeded")
            assert error["param"] == ("messages" if ask.is_chat else "prompt")
            assert str(limit) in error["message"]
            assert max(int(number) for number in re.findall(r"\d+", error["message"])) > limit


def test_a_huge_text_is_refused_before_it_is_encoded(small):
    ask = small
    huge = "la " * 2_000_000
    body = {"messages": [{"role": "user", "content": huge}]} if ask.is_chat else {"prompt": huge}
    status, answer = ask.send(body)
    assert (status, answer["error"]["code"]) == (400, "context_length_exceeded")
    assert "at least" in answer["error"]["message"]
    status, answer = ask.post("/tokenize", {"prompt": huge})
    assert (status, answer["error"]["code"]) == (400, "context_length_exceeded")


def context_of(ask):
    return ask.post("/tokenize", {"prompt": "a"})[1]["max_model_len"]


def long_text(ask, num_tokens):
    """A text of so many tokens, about."""
    tokens = ask.post("/tokenize", {"prompt": "la " * 200})[1]["count"]
    return "la " * (200 * num_tokens // tokens)


# ---- /tokenize and /detokenize ----------------------------------------------------------------------------------


def test_tokenize_gives_the_tokens_that_the_endpoints_use(ask):
    text = "Ünï <|im_end|> code 123"
    status, page = ask.post("/tokenize", {"model": "model", "prompt": text, "return_token_strs": True})
    assert status == 200 and page["count"] == len(page["tokens"]) == len(page["token_strs"])
    if not ask.is_chat:
        assert ask.prompt_count(prompt=text) == page["count"]
        assert ask.text(prompt=text) == ask.text(prompt=page["tokens"])
    back = ask.post("/detokenize", {"model": "model", "tokens": page["tokens"]})[1]
    assert text in back["prompt"]
    chat = {"messages": [{"role": "user", "content": text}]}
    if ask.is_chat:
        assert ask.prompt_count(**chat) == ask.post("/tokenize", chat)[1]["count"]
    rendered = ask.post("/detokenize", {"tokens": ask.post("/tokenize", chat)[1]["tokens"]})[1]["prompt"]
    assert rendered.endswith(f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n")
    turns = {"messages": TURNS_TO_CONTINUE, "continue_final_message": True}
    rendered = ask.post("/detokenize", {"tokens": ask.post("/tokenize", turns)[1]["tokens"]})[1]["prompt"]
    assert rendered.endswith("<|im_start|>assistant\nSo it")
    assert page["token_strs"] and ask.post("/tokenize", {"prompt": text})[1]["token_strs"] is None


TURNS_TO_CONTINUE = [{"role": "user", "content": "go"}, {"role": "assistant", "content": "So it"}]


def test_tokenize_and_detokenize_refuse_by_name(ask):
    for path, body, param in (
        ("/tokenize", {}, "prompt"),
        ("/tokenize", {"prompt": ["a"]}, "prompt"),
        ("/tokenize", {"prompt": "a", "messages": []}, "messages"),
        ("/tokenize", {"prompt": "a", "temperature": 1}, "temperature"),
        ("/detokenize", {}, "tokens"),
        ("/detokenize", {"tokens": [1.0]}, "tokens"),
        ("/detokenize", {"tokens": [True]}, "tokens"),
        ("/detokenize", {"tokens": [-1]}, "tokens"),
        ("/detokenize", {"tokens": [4_000_000_000]}, "tokens"),
        ("/detokenize", {"tokens": [1], "x": 1}, "x"),
    ):
        status, answer = ask.post(path, body)
        assert (status, answer["error"]["param"]) == (400, param), json.dumps(body)[:100]
    assert ask.post("/tokenize", {"model": "other", "prompt": "a"})[0] == 404
    assert ask.post("/detokenize", {"model": "other", "tokens": [1]})[0] == 404
