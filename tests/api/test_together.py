"""Fifty at once: each answer is, to the letter, the one it is alone."""

import asyncio

import openai
import pytest

TOPICS = ["rivers", "bread", "the moon", "chess", "Paris", "a storm", "cats", "iron", "winter", "tea"]


def request(number, sampled):
    fields = {"model": "model", "max_tokens": 6 + number % 9}
    fields.update({"temperature": 0.9, "seed": 100 + number, "top_p": 0.95} if sampled else {"temperature": 0})
    text = f"Number {number}: say something about {TOPICS[number % len(TOPICS)]}." + " Be brief." * (number % 4)
    return text, fields


async def ask(client, number, sampled):
    text, fields = request(number, sampled)
    if number % 3 == 0:  # completions, chats whole, chats streamed
        answer = await client.completions.create(prompt=text, **fields)
        return answer.choices[0].text, answer.choices[0].finish_reason
    messages = [{"role": "user", "content": text}]
    if number % 3 == 1:
        answer = await client.chat.completions.create(messages=messages, **fields)
        return answer.choices[0].message.content, answer.choices[0].finish_reason
    said, finish = "", None
    async for chunk in await client.chat.completions.create(messages=messages, stream=True, **fields):
        said += chunk.choices[0].delta.content or ""
        finish = chunk.choices[0].finish_reason or finish
    return said, finish


@pytest.mark.parametrize("sampled", [False, True], ids=["greedy", "seeded"])
def test_fifty_together_are_each_as_alone(server, sampled):
    async def both():
        async with openai.AsyncOpenAI(
            base_url=server.address + "/v1", api_key="none", max_retries=0, timeout=600
        ) as client:
            together = await asyncio.gather(*(ask(client, number, sampled) for number in range(50)))
            alone = [await ask(client, number, sampled) for number in range(50)]
            return together, alone

    together, alone = asyncio.run(both())
    assert together == alone
    assert len(set(together)) > 20
