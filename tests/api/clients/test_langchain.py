"""LangChain's ChatOpenAI and OpenAI."""

import asyncio

import langchain_openai
import openai
import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

TALK = [
    SystemMessage("Be brief."),
    HumanMessage("Hello"),
    AIMessage("Hello!"),
    HumanMessage("What is the capital of France?"),
]


@pytest.fixture
def place(server):
    address = server.address + "/v1"
    return {"model": "model", "base_url": address, "api_key": "none", "max_retries": 0, "temperature": 0}


@pytest.fixture
def expected(client):
    roles = {"system": "system", "human": "user", "ai": "assistant"}
    messages = [{"role": roles[message.type], "content": message.content} for message in TALK]
    return client.chat.completions.create(model="model", messages=messages, temperature=0, max_tokens=12)


def test_a_chat_whole_streamed_in_batches_and_asynchronous(place, expected):
    model = langchain_openai.ChatOpenAI(**place, max_tokens=12, stream_usage=True)
    text = expected.choices[0].message.content
    whole = model.invoke(TALK)
    assert whole.content == text
    assert whole.usage_metadata["output_tokens"] == expected.usage.completion_tokens
    chunks = list(model.stream(TALK))
    assert "".join(chunk.content for chunk in chunks) == text
    counted = [chunk.usage_metadata["output_tokens"] for chunk in chunks if chunk.usage_metadata]
    assert counted == [expected.usage.completion_tokens]
    assert [answer.content for answer in model.batch([TALK] * 3)] == [text] * 3
    assert asyncio.run(model.ainvoke(TALK)).content == text


def test_completions(place, client):
    model = langchain_openai.OpenAI(**place, max_tokens=12)
    said = client.completions.create(model="model", prompt="Once upon a time", temperature=0, max_tokens=12)
    assert model.invoke("Once upon a time") == said.choices[0].text
    assert "".join(model.stream("Once upon a time")) == said.choices[0].text


def test_options_that_it_sends(place):
    options = {"seed": 3, "stop": ["~never~"], "n": 1, "top_p": 0.9, "presence_penalty": 0.5, "frequency_penalty": 0.5}
    model = langchain_openai.ChatOpenAI(**{**place, "temperature": 1}, max_tokens=12, **options)
    assert model.invoke(TALK).content == model.invoke(TALK).content


def test_a_message_may_have_a_name(place):
    model = langchain_openai.ChatOpenAI(**place, max_tokens=12)
    named = [*TALK[:-1], HumanMessage("What is the capital of France?", name="bob")]
    assert model.invoke(named).content


def test_logprobs(place):
    model = langchain_openai.ChatOpenAI(**place, max_tokens=12).bind(logprobs=True, top_logprobs=2)
    said = model.invoke(TALK)
    content = said.response_metadata["logprobs"]["content"]
    ends_turn = said.response_metadata["finish_reason"] == "stop"  # that token is counted, and has no text
    assert len(content) == said.usage_metadata["output_tokens"] - ends_turn
    assert all(len(token["top_logprobs"]) == 2 for token in content)


def test_what_is_not_there_yet_is_refused_by_name(place):
    model = langchain_openai.ChatOpenAI(**place, max_tokens=12)
    tool = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}
    with pytest.raises(openai.BadRequestError, match="tools"):
        model.bind_tools([tool]).invoke("hi")
    schema = {"title": "A", "type": "object", "properties": {"a": {"type": "string"}}}
    with pytest.raises(openai.BadRequestError, match="response_format"):
        model.with_structured_output(schema).invoke("hi")
