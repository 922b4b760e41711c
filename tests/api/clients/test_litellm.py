"""litellm, which many put in front of their models."""

import asyncio

import litellm
import pytest

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture
def place(server):
    return {"api_base": server.address + "/v1", "api_key": "none", "temperature": 0, "max_tokens": 12}


@pytest.fixture
def expected(client):
    return client.chat.completions.create(model="model", messages=QUESTION, temperature=0, max_tokens=12)


def test_a_chat_whole_streamed_and_asynchronous(place, expected):
    asked = {"model": "openai/model", "messages": QUESTION, **place}
    whole = litellm.completion(**asked)
    assert whole.choices[0].message.content == expected.choices[0].message.content
    assert whole.usage.completion_tokens == expected.usage.completion_tokens
    said, usage = "", None
    for chunk in litellm.completion(**asked, stream=True, stream_options={"include_usage": True}):
        usage = getattr(chunk, "usage", None) or usage
        said += (chunk.choices[0].delta.content or "") if chunk.choices else ""
    assert said == whole.choices[0].message.content
    assert usage.completion_tokens == whole.usage.completion_tokens

    async def together():
        return await asyncio.gather(*(litellm.acompletion(**asked) for _ in range(4)))

    assert {answer.choices[0].message.content for answer in asyncio.run(together())} == {said}


def test_completions(place, client):
    asked = {"model": "text-completion-openai/model", "prompt": "Once upon a time", **place}
    said = client.completions.create(model="model", prompt="Once upon a time", temperature=0, max_tokens=12)
    assert litellm.text_completion(**asked).choices[0].text == said.choices[0].text
    pieces = [chunk.choices[0].text or "" for chunk in litellm.text_completion(**asked, stream=True)]
    assert "".join(pieces) == said.choices[0].text


def test_a_router_in_front(place, expected):
    parameters = {"model": "openai/model", **place}
    router = litellm.Router(model_list=[{"model_name": "ours", "litellm_params": parameters}], num_retries=2)
    answer = router.completion(model="ours", messages=QUESTION)
    assert answer.choices[0].message.content == expected.choices[0].message.content


def test_refusals_are_its_own_errors(place):
    asked = {"model": "openai/model", "messages": QUESTION, **place}
    with pytest.raises(litellm.BadRequestError, match="temperature"):
        litellm.completion(**{**asked, "temperature": 9})
    with pytest.raises(litellm.NotFoundError):
        litellm.completion(**{**asked, "model": "openai/other"})
