"""`serve --speculative prompt-lookup`: the same answers. That they take fewer steps is the engine's test
(engine_drafts_test.cc), whose time is made up: how many drafts are worth it here depends on how busy the machine is."""

import json

import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families

import served
from test_operations import ask, value

LIST = "".join(f"item {number}: apples, pears and plums; " for number in range(12))
REQUESTS = [
    {"prompt": LIST, "max_tokens": 60},
    {"prompt": LIST, "max_tokens": 60, "temperature": 0.7, "seed": 3, "n": 3, "logprobs": 2},
    {"prompt": LIST, "max_tokens": 60, "frequency_penalty": 0.4, "repetition_penalty": 1.1, "min_tokens": 20},
    {"prompt": LIST, "max_tokens": 60, "stop": ["pears"], "logit_bias": {"105": 3}, "return_token_ids": True},
    {"prompt": [105, 106, 107, 108] * 30, "max_tokens": 40, "echo": True, "logprobs": 1},
    {"prompt": [105, 106, 107, 108] * 30, "max_tokens": 80, "logit_bias": {"105": 100, "106": 100, "107": 100}},
]


@pytest.fixture(scope="module")
def both():
    model, options = served.smollm2(), ["--cache-memory-mb", "256"]
    if not model or served.IS_SANITIZED:
        model, options = served.TINY_MODEL, served.TINY_OPTIONS
    running = [served.Served(model, *options, "--speculative", name) for name in ("none", "prompt-lookup")]
    yield running
    assert [it.terminate() for it in running] == [0, 0]


def complete(server, request):
    body = {"model": "model", "temperature": 0, "ignore_eos": True, **request}
    status, _, text = ask(server.address, "POST", "/v1/completions", body)
    assert status == 200, text
    answer = json.loads(text)
    return answer["choices"], answer["usage"]


def counters(server):
    families = list(text_string_to_metric_families(ask(server.address, "GET", "/metrics")[2]))
    return [value(families, f"vllm:spec_decode_num_{name}_tokens_total") for name in ("draft", "accepted")]


def test_answers_are_the_same_and_drafts_are_counted_apart(both):
    for again in range(8):
        if again >= 2 and counters(both[1])[1] > 0:
            break  # a draft was right
        for request in REQUESTS:
            plain, drafting = (complete(server, request) for server in both)
            assert plain[0] == drafting[0], request
            for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
                assert plain[1][name] == drafting[1][name]
    assert counters(both[0]) == [0, 0]
    drafted, accepted = counters(both[1])
    assert 0 < accepted <= drafted


def test_a_stream_has_the_same_text(both):
    texts = []
    for server in both:
        with openai.OpenAI(base_url=server.address + "/v1", api_key="none", max_retries=0) as client:
            stream = client.completions.create(
                model="model",
                prompt=REQUESTS[-1]["prompt"],
                max_tokens=80,
                temperature=0,
                logit_bias=REQUESTS[-1]["logit_bias"],
                stream=True,
                stream_options={"include_usage": True},
                extra_body={"ignore_eos": True},
            )
            chunks = list(stream)
        texts.append("".join(choice.text for chunk in chunks for choice in chunk.choices))
        assert chunks[-1].usage.completion_tokens == 80
    assert texts[0] == texts[1]
