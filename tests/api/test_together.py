"""Sixty-four streams at once, greedy and seeded ones mixed: each text is, to the letter, the answer it is alone."""

import asyncio

import openai

NUM_STREAMS = 64
TOPICS = ["rivers", "bread", "the moon", "chess", "Paris", "a storm", "cats", "iron", "winter", "tea"]


def request(number):
    """A chat or (each third) a completion; every other one greedy, the others with a seed of their own."""
    greedy = {"temperature": 0}
    seeded = {"temperature": 0.9, "seed": 100 + number, "top_p": 0.95}
    text = f"Number {number}: say something about {TOPICS[number % len(TOPICS)]}." + " Be brief." * (number % 4)
    said = {"prompt": text} if number % 3 == 0 else {"messages": [{"role": "user", "content": text}]}
    return {"model": "model", "max_tokens": 6 + number % 9, **said, **(greedy if number % 2 == 0 else seeded)}


def endpoint(client, asked):
    return client.completions if "prompt" in asked else client.chat.completions


async def streamed(client, number):
    asked, said, finish = request(number), "", None
    async for chunk in await endpoint(client, asked).create(**asked, stream=True):
        choice = chunk.choices[0]
        said += (choice.text if "prompt" in asked else choice.delta.content) or ""
        finish = choice.finish_reason or finish
    return said, finish


async def whole(client, number):
    asked = request(number)
    choice = (await endpoint(client, asked).create(**asked)).choices[0]
    return choice.text if "prompt" in asked else choice.message.content, choice.finish_reason


def test_sixty_four_streams_together_are_each_as_alone(server):
    async def both():
        async with openai.AsyncOpenAI(
            base_url=server.address + "/v1", api_key="none", max_retries=0, timeout=600
        ) as client:
            together = await asyncio.gather(*(streamed(client, number) for number in range(NUM_STREAMS)))
            alone = [await whole(client, number) for number in range(NUM_STREAMS)]
            return together, alone

    together, alone = asyncio.run(both())
    assert together == alone
    assert len(set(together)) > NUM_STREAMS // 2
