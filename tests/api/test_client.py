"""What the official client does around a request: time limits, retries, its errors, raw answers, its helpers."""

import asyncio

import openai
import pydantic
import pytest

import served

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
CHAT = {"model": "model", "messages": QUESTION, "temperature": 0, "max_tokens": 24}
# So long that nobody here waits for its end.
ENDLESS = {"model": "model", "prompt": "Once", "max_tokens": 400, "n": 64, "extra_body": {"ignore_eos": True}}


def text_of(answer):
    return answer.choices[0].message.content


def test_a_timeout_is_the_clients_error_and_costs_nobody_else(client):
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.02).completions.create(**ENDLESS)
    assert client.chat.completions.create(**CHAT).object == "chat.completion"


def test_the_raw_answer(client):
    expected = client.chat.completions.create(**CHAT)
    raw = client.chat.completions.with_raw_response.create(**CHAT)
    assert raw.status_code == 200 and raw.headers["content-type"].startswith("application/json")
    assert text_of(raw.parse()) == text_of(expected)


def test_the_lines_of_a_stream(client):
    with client.chat.completions.with_streaming_response.create(**CHAT, stream=True) as raw:
        assert raw.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in raw.iter_lines() if line]
    assert all(line.startswith("data: {") for line in lines[:-1]) and lines[-1] == "data: [DONE]"


def test_the_stream_helper_comes_to_the_whole_answer(client):
    # The helper takes an answer that ended for its length as a mistake, so this one ends at a stop string.
    asked = {**CHAT, "temperature": 1, "seed": 5}
    full = text_of(client.chat.completions.create(**asked))
    asked["stop"] = next(full[at : at + 2] for at in range(4, len(full)) if full.index(full[at : at + 2]) == at)
    whole = client.chat.completions.create(**asked)
    assert whole.choices[0].finish_reason == "stop"
    deltas, done = "", None
    with client.chat.completions.stream(**asked) as stream:
        for event in stream:
            if event.type == "content.delta":
                deltas += event.delta
                assert event.snapshot == deltas
            elif event.type == "content.done":
                done = event.content
        final = stream.get_final_completion()
    assert deltas == done == text_of(final) == text_of(whole)
    assert final.choices[0].finish_reason == "stop"


def test_what_parse_asks_for_is_refused_by_name(client):
    class Answer(pydantic.BaseModel):
        city: str

    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.parse(**CHAT, response_format=Answer)
    assert caught.value.param.startswith("response_format")


def test_the_asynchronous_client(server, client):
    whole = client.chat.completions.create(**CHAT)

    async def ask():
        async with openai.AsyncOpenAI(base_url=server.address + "/v1", api_key="none", max_retries=0) as asked:
            answers = await asyncio.gather(*(asked.chat.completions.create(**CHAT) for _ in range(4)))
            said = ""
            async for chunk in await asked.chat.completions.create(**CHAT, stream=True):
                said += chunk.choices[0].delta.content or ""
            # A task that is cancelled in the middle of a stream.
            begun = asyncio.Event()

            async def listen():
                async for _ in await asked.completions.create(**ENDLESS, stream=True):
                    begun.set()

            listening = asyncio.create_task(listen())
            await begun.wait()
            listening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await listening
            models = [model.id async for model in asked.models.list()]
            return [text_of(answer) for answer in answers] + [said], models

    said, models = asyncio.run(ask())
    assert said == [text_of(whole)] * 5 and models == ["model"]


def test_a_full_queue_is_tried_again_after_as_long_as_the_server_says():
    # One at a time, and at most 64 wait: they are the choices of one request until it is given up.
    running = served.Served(served.TINY_MODEL, "--max-waiting-requests", "64", *served.TINY_OPTIONS)
    crowd = {"model": "model", "prompt": "x", "max_tokens": 1, "n": 60}

    async def ask():
        async with openai.AsyncOpenAI(base_url=running.address + "/v1", api_key="none", timeout=60) as client:
            stream = await client.completions.create(**ENDLESS, stream=True)
            await anext(aiter(stream))
            with pytest.raises(openai.RateLimitError) as caught:
                await client.with_options(max_retries=0).completions.create(**crowd)
            assert caught.value.response.headers["retry-after"] == "1"
            again = asyncio.create_task(
                client.with_options(max_retries=20).completions.with_raw_response.create(**crowd)
            )
            await asyncio.sleep(0.3)
            await stream.close()
            return await again

    try:
        answered = asyncio.run(ask())
        assert answered.retries_taken >= 1 and len(answered.parse().choices) == 60
        assert running.terminate() == 0
    finally:
        running.kill()


def test_nobody_there_is_a_connection_error():
    running = served.Served(served.TINY_MODEL, *served.TINY_OPTIONS)
    try:
        with openai.OpenAI(base_url=running.address + "/v1", api_key="none", max_retries=0) as client:
            assert client.chat.completions.create(**CHAT).object == "chat.completion"
            assert running.terminate() == 0
            with pytest.raises(openai.APIConnectionError):
                client.chat.completions.create(**CHAT)
    finally:
        running.kill()
