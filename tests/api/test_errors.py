import json
import urllib.error
import urllib.request

import openai
import pytest

import served

QUESTION = [{"role": "user", "content": "hi"}]


def refused(client, kind=openai.BadRequestError, **fields):
    with pytest.raises(kind) as caught:
        client.chat.completions.create(**{"model": "model", "messages": QUESTION, **fields})
    body = caught.value.body
    assert set(body) == {"message", "type", "param", "code"} and body["message"]
    return body


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 9},
        {"temperature": -1},
        {"temperature": "hot"},
        {"temperature": True},
        {"top_p": 0},
        {"top_p": 2},
        {"n": 0},
        {"n": 1000},
        {"n": 1.5},
        {"max_tokens": 0},
        {"max_tokens": 2.5},
        {"max_tokens": True},
        {"seed": "x"},
        {"stop": ""},
        {"stop": ["x"] * 17},
        {"tools": [{"type": "function"}]},
        {"tool_choice": "required"},
        {"response_format": {"type": "json_object"}},
        {"logprobs": 1},
        {"top_logprobs": 2},
        {"metadata": "x"},
        {"logit_bias": {"x": 1}},
        {"logit_bias": {"5": 101}},
        {"logit_bias": {"05": 1}},
        {"logit_bias": {"4000000000": 1}},
        {"presence_penalty": 2.5},
        {"frequency_penalty": -2.5},
        {"messages": []},
        {"stream_options": {"include_usage": True}},
    ],
    ids=str,
)
def test_what_is_wrong_or_not_there_yet_is_refused_by_name(client, fields):
    body = refused(client, **fields)
    assert body["param"] == next(iter(fields)) and body["type"] == "invalid_request_error"
    assert next(iter(fields)) in body["message"]


@pytest.mark.parametrize(
    "fields",
    [
        {"repetition_penalty": 0},
        {"repetition_penalty": 11},
        {"top_k": -2},
        {"top_k": 1.5},
        {"min_p": 2},
        {"ignore_eos": 1},
        {"temprature": 1},
        {"best": None},
    ],
    ids=str,
)
def test_the_same_for_names_the_client_does_not_know(client, fields):
    assert refused(client, extra_body=fields)["param"] == next(iter(fields))


def test_a_message_is_named_by_its_place(client):
    messages = [*QUESTION, {"role": "wizard", "content": "x"}]
    assert refused(client, messages=messages)["param"] == "messages[1].role"


def test_an_unknown_model_is_404(client):
    assert refused(client, openai.NotFoundError, model="gpt-9")["code"] == "model_not_found"


def test_a_prompt_beyond_the_context(client):
    limit = client.models.retrieve("model").max_model_len
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model="model", prompt=[5] * (limit + 3))
    assert caught.value.code == "context_length_exceeded"
    assert str(limit) in caught.value.body["message"] and str(limit + 3) in caught.value.body["message"]


def test_models(client):
    models = client.models.list().data
    assert [model.id for model in models] == ["model"] and models[0].max_model_len > 0
    assert client.models.retrieve("model") == models[0]
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("other/model")


def fetch(url, method="GET", body=None, headers=None):
    request = urllib.request.Request(url, method=method, data=body, headers=headers or {})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_pages_and_unknown_places(server):
    assert fetch(server.address + "/health") == (200, {"status": "ok"})
    status, version = fetch(server.address + "/version")
    assert status == 200 and version["version"]
    assert fetch(server.address + "/v1/nothing")[0] == 404
    assert fetch(server.address + "/v1/chat/completions")[0] == 405
    assert fetch(server.address + "/v1/chat/completions", "POST", b"{")[0] == 400
    assert fetch(server.address + "/v1/chat/completions", "POST", b'{"model":"model","model":"model"}')[0] == 400


def test_keys():
    running = served.Served(served.TINY_MODEL, "--api-key", "right", *served.TINY_OPTIONS)
    try:
        fields = {"model": "model", "messages": QUESTION, "max_tokens": 2}
        openai.OpenAI(base_url=running.address + "/v1", api_key="right").chat.completions.create(**fields)
        for wrong in ("wrong", "righ", "right2"):
            with pytest.raises(openai.AuthenticationError) as caught:
                openai.OpenAI(base_url=running.address + "/v1", api_key=wrong).chat.completions.create(**fields)
            assert caught.value.code == "invalid_api_key"
        assert fetch(running.address + "/health")[0] == 200
        assert fetch(running.address + "/v1/models")[0] == 401
        assert running.terminate() == 0
    finally:
        running.kill()
