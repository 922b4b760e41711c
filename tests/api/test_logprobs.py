"""Log-probabilities, echo, token ids: against the float64 answers of tests/data/oracle, and with each other."""

import json
import math
import pathlib
import struct

import pytest

import served

GOLDEN = served.TINY_MODEL
QUESTION = [{"role": "user", "content": "Name three colours of the rainbow."}]


def golden_prompts():
    return json.loads((GOLDEN / "golden.json").read_text())["prompts"]


def golden_logprobs(index):
    """position -> logprobs of the whole vocabulary there."""
    data = (GOLDEN / "golden.safetensors").read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    tensor = json.loads(data[8 : 8 + size])[f"logits.{index}"]
    begin, end = (8 + size + offset for offset in tensor["data_offsets"])
    values = struct.unpack(f"<{(end - begin) // 4}f", data[begin:end])
    rows, width = tensor["shape"]
    found = {}
    for row, position in zip(range(rows), golden_prompts()[index]["positions"]):
        logits = values[row * width : (row + 1) * width]
        most = max(logits)
        total = most + math.log(sum(math.exp(logit - most) for logit in logits))
        found[position] = [logit - total for logit in logits]
    return found


def complete(client, prompt, **fields):
    extra = {"ignore_eos": True, **fields.pop("extra_body", {})}
    return client.completions.create(
        model="model", prompt=prompt, **{"temperature": 0, "max_tokens": 8, **fields}, extra_body=extra
    ).choices[0]


def chat(client, **fields):
    return client.chat.completions.create(
        model="model", messages=QUESTION, **{"temperature": 0, "max_tokens": 24, **fields}
    )


@pytest.fixture(scope="module")
def tiny():
    """The model whose true answers are known, one request at a time, its prompts cut into chunks of 13."""
    import openai

    running = served.Served(served.TINY_MODEL, "--max-num-batched-tokens", "13", *served.TINY_OPTIONS)
    with openai.OpenAI(base_url=running.address + "/v1", api_key="none", max_retries=0) as made:
        yield made
    assert running.terminate() == 0


@pytest.mark.parametrize("index", range(4))
def test_the_answers_logprobs_are_the_models(tiny, index):
    golden = golden_prompts()[index]
    tolerance = 1e-2 * golden["logits_std"]
    choice = complete(tiny, golden["prompt"], max_tokens=32, logprobs=3, extra_body={"return_token_ids": True})
    assert choice.prompt_token_ids == golden["prompt"]
    compared = 0
    for step, (token, margin) in enumerate(zip(golden["greedy"], golden["margins"])):
        if margin < 2 * tolerance:
            break
        assert choice.token_ids[step] == token
        assert abs(choice.logprobs.token_logprobs[step] - golden["logprobs"][step]) < 2 * tolerance
        top = choice.logprobs.top_logprobs[step]
        assert max(top.values()) == choice.logprobs.token_logprobs[step]  # greedy: it is the likeliest
        compared += 1
    assert compared >= 1


@pytest.mark.parametrize("index", range(4))
@pytest.mark.parametrize("top", [0, 5])
def test_echoed_prompts_have_the_models_logprobs_across_chunks(tiny, index, top):
    golden = golden_prompts()[index]
    tolerance = 2e-2 * golden["logits_std"]
    prompt = golden["prompt"]
    choice = complete(tiny, prompt, max_tokens=0, echo=True, logprobs=top)
    found = choice.logprobs
    assert choice.finish_reason == "length"
    assert len(found.tokens) == len(found.token_logprobs) == len(found.text_offset) == len(prompt)
    assert found.token_logprobs[0] is None and found.top_logprobs[0] is None
    for position, expected in golden_logprobs(index).items():
        if position + 1 == len(prompt):
            continue
        assert abs(found.token_logprobs[position + 1] - expected[prompt[position + 1]]) < tolerance
        likeliest = sorted(expected, reverse=True)[:top]
        values = sorted(found.top_logprobs[position + 1].values(), reverse=True)
        assert len(values) in (max(top, 1), top + 1)
        for value, truth in zip(values, likeliest):
            assert abs(value - truth) < tolerance


def test_the_same_prompt_scored_twice_and_after_it_was_cached_is_the_same_to_the_digit(client):
    prompt = "One two three four five six seven eight nine ten. " * 4
    plain = complete(client, prompt, max_tokens=4)
    first = complete(client, prompt, max_tokens=4, echo=True, logprobs=2)
    assert first.text == prompt + plain.text
    assert complete(client, prompt, max_tokens=4, echo=True, logprobs=2) == first
    alone = complete(client, prompt, max_tokens=0, echo=True, logprobs=2)
    assert alone.logprobs.token_logprobs == first.logprobs.token_logprobs[: len(alone.logprobs.tokens)]
    assert alone.text == prompt


def test_offsets_point_at_the_tokens(client, server):
    if not server.is_real:
        pytest.skip("the tiny model's tokens are pieces of characters")
    choice = complete(client, "Grüße aus Köln, 日本語 too:", max_tokens=12, echo=True, logprobs=1)
    begins = choice.logprobs.text_offset
    assert begins == sorted(begins)
    for token, begin in zip(choice.logprobs.tokens, begins):
        assert token.startswith("bytes:") or choice.text[begin:].startswith(token)


def test_chat_logprobs_spell_the_text(client):
    plain = chat(client).choices[0]
    assert plain.logprobs is None
    choice = chat(client, logprobs=True, top_logprobs=4).choices[0]
    assert choice.message.content == plain.message.content
    content = choice.logprobs.content
    assert bytes(byte for token in content for byte in token.bytes).decode(errors="replace") == plain.message.content
    for token in content:
        assert token.logprob <= 0 and len(token.top_logprobs) == 4
        assert token.top_logprobs[0].logprob == token.logprob  # greedy
        values = [one.logprob for one in token.top_logprobs]
        assert values == sorted(values, reverse=True)
    assert [len(token.top_logprobs) for token in chat(client, logprobs=True).choices[0].logprobs.content] == [0] * len(
        content
    )


def test_penalties_and_biases_do_not_change_the_models_opinion(client):
    extra = {"return_token_ids": True, "ignore_eos": True}
    plain = client.completions.create(model="model", prompt="Once upon", temperature=0, max_tokens=1, logprobs=20)
    top = plain.choices[0].logprobs.top_logprobs[0]
    banned = client.completions.create(
        model="model", prompt="Once upon", temperature=0, max_tokens=1, logprobs=20, extra_body=extra
    ).choices[0]
    other = client.completions.create(
        model="model",
        prompt="Once upon",
        temperature=0,
        max_tokens=1,
        logprobs=20,
        logit_bias={str(banned.token_ids[0]): -100},
        extra_body=extra,
    ).choices[0]
    assert other.token_ids != banned.token_ids
    assert other.logprobs.top_logprobs[0] == top


def test_streams_say_the_same_as_the_whole(client):
    fields = {"logprobs": True, "top_logprobs": 2, "stop": ["e", "ro"], "n": 2, "temperature": 1.0, "seed": 4}
    extra = {"return_token_ids": True, "min_tokens": 3}
    whole = chat(client, extra_body=extra, **fields)
    tokens, text, content, prompt = {0: [], 1: []}, {0: "", 1: ""}, {0: [], 1: []}, []
    for chunk in chat(client, stream=True, extra_body=extra, **fields):
        prompt += getattr(chunk, "prompt_token_ids", None) or []
        for choice in chunk.choices:
            tokens[choice.index] += choice.token_ids
            text[choice.index] += choice.delta.content or ""
            content[choice.index] += choice.logprobs.content if choice.logprobs else []
    for choice in whole.choices:
        assert choice.token_ids == tokens[choice.index] and len(choice.token_ids) >= 3
        assert choice.message.content == text[choice.index]
        assert choice.logprobs.content == content[choice.index]
    assert prompt == whole.prompt_token_ids
    assert whole.usage.completion_tokens == len(tokens[0]) + len(tokens[1])


def test_completion_streams_echo_first_and_say_the_same_as_the_whole(client):
    fields = {"prompt": ["Red, green and", "One, two,"], "echo": True, "logprobs": 1, "max_tokens": 6, "temperature": 0}
    whole = client.completions.create(model="model", **fields)
    text, tokens, offsets = ["", ""], [[], []], [[], []]
    for chunk in client.completions.create(model="model", stream=True, **fields):
        for choice in chunk.choices:
            text[choice.index] += choice.text
            if choice.logprobs:
                tokens[choice.index] += choice.logprobs.tokens
                offsets[choice.index] += choice.logprobs.text_offset
    for choice in whole.choices:
        assert text[choice.index] == choice.text and choice.text.startswith(fields["prompt"][choice.index])
        assert tokens[choice.index] == choice.logprobs.tokens
        assert offsets[choice.index] == choice.logprobs.text_offset


def test_usage_in_every_chunk(client):
    chunks = list(
        chat(
            client,
            max_tokens=6,
            stream=True,
            stream_options={"include_usage": True, "continuous_usage_stats": True},
            extra_body={"ignore_eos": True},
        )
    )
    counts = [chunk.usage.completion_tokens for chunk in chunks]
    assert counts == sorted(counts) and counts[0] == 0 and counts[-1] == 6
    assert len({chunk.usage.prompt_tokens for chunk in chunks}) == 1


def test_stop_tokens_end_the_answer_and_may_be_part_of_it(client):
    extra = {"return_token_ids": True, "ignore_eos": True}
    full = complete(client, "Count: 1 2 3", max_tokens=12, extra_body=extra)
    stop = full.token_ids[5]
    first = full.token_ids.index(stop)
    cut = complete(client, "Count: 1 2 3", max_tokens=12, extra_body={**extra, "stop_token_ids": [stop]})
    assert cut.token_ids == full.token_ids[: first + 1] and cut.finish_reason == "stop"
    assert full.text.startswith(cut.text) and cut.text != full.text
    kept = complete(
        client,
        "Count: 1 2 3",
        max_tokens=12,
        extra_body={**extra, "stop_token_ids": [stop], "include_stop_str_in_output": True},
    )
    assert kept.token_ids == cut.token_ids and len(kept.text) > len(cut.text) and full.text.startswith(kept.text[:-1])


def test_stop_strings_may_be_part_of_the_answer(client):
    full = complete(client, "Once upon a time", max_tokens=20).text
    stop = full[6:9]
    kept = complete(
        client, "Once upon a time", max_tokens=20, stop=stop, extra_body={"include_stop_str_in_output": True}
    )
    assert kept.text == full[: full.index(stop) + len(stop)] and kept.finish_reason == "stop"


def test_min_tokens_bans_the_end(client):
    def count(**extra):
        answer = client.completions.create(
            model="model", prompt="Hello", temperature=0, max_tokens=16, extra_body={"return_token_ids": True, **extra}
        )
        return answer.choices[0].token_ids

    first = count(ignore_eos=True)[0]
    assert count(stop_token_ids=[first]) == [first]
    later = count(stop_token_ids=[first], min_tokens=5)
    assert first not in later[:5] and len(later) >= 5
