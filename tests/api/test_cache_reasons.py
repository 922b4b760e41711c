"""The object "cache" of an answer: how much of its prompt was reused, and why not more."""

import http.client
import json
import re

import openai
import pytest

from test_cache_keys import ALL, PROMPT, ask, serving


def cache(server, key="none", **fields):
    return ask(server, key, **fields)["cache"]


def fresh(first):
    return [(first + 7 * i) % 200 for i in range(len(PROMPT))]


@pytest.fixture(scope="module")
def tiny():
    with serving() as it:
        yield it


def test_a_prompt_again_is_a_hit_and_one_that_begins_like_it_says_where_it_differs(tiny):
    prompt = fresh(3)
    miss = cache(tiny, prompt=prompt)
    assert (miss["status"], miss["reused_tokens"]) == ("MISS", 0)
    assert miss["reason"] == "never seen: nothing in the cache begins like it"
    hit = cache(tiny, prompt=prompt)
    assert (hit["status"], hit["reused_tokens"]) == ("HIT", ALL)
    other = cache(tiny, prompt=prompt[:100] + [201] + prompt[101:])
    assert other == {"status": "PREFIX_HIT", "reused_tokens": 100, "reason": "differs at token 100 from what is cached"}


def test_what_was_cleared_is_said_so(tiny):
    prompt = fresh(4)
    cache(tiny, prompt=prompt)
    connection = http.client.HTTPConnection(tiny.address.removeprefix("http://"), timeout=60)
    connection.request("DELETE", "/v1/cache")
    assert connection.getresponse().status == 200
    reason = cache(tiny, prompt=prompt)["reason"]
    assert re.fullmatch(r"cleared \d+\.\d s ago, from token 0 on", reason), reason


def test_what_was_evicted_is_said_so_and_when():
    with serving("--no-memory-aware-cache", "--prefix-cache-size", "1") as server:
        cache(server, prompt=fresh(5))
        cache(server, prompt=fresh(6))
        reason = cache(server, prompt=fresh(5))["reason"]
        assert re.fullmatch(r"evicted \d+\.\d s ago, from token 0 on", reason), reason


def test_a_salt_tells_of_the_same_key_without_it_and_of_no_other():
    with serving("--api-key=alice", "--api-key=bob") as server:
        cache(server, "alice", prompt=fresh(7))
        assert cache(server, "alice", prompt=fresh(7), cache_salt="x")["reason"].startswith("other key")
        for fields in ({"cache_salt": "x"}, {}):
            assert cache(server, "bob", prompt=fresh(7), **fields)["reason"].startswith("never seen")


def test_one_salt_is_told_nothing_of_another(tiny):
    assert cache(tiny, prompt=fresh(11), cache_salt="x")["status"] == "MISS"
    for fields in ({"cache_salt": "y"}, {}):
        assert cache(tiny, prompt=fresh(11), **fields)["reason"].startswith("never seen")
    assert cache(tiny, prompt=fresh(11), cache_salt="x")["status"] == "HIT"


def test_without_a_cache_and_for_prompts_that_are_scored_it_says_that_nothing_was_looked_for(tiny):
    with serving("--no-prefix-cache") as server:
        for _ in range(2):
            assert cache(server)["reason"] == "the prefix cache is off"
    scored = cache(tiny, echo=True, logprobs=1)
    assert scored["status"] == "MISS" and scored["reason"].startswith("not looked for")


def test_a_stream_has_it_beside_its_usage_and_the_official_client_takes_both(tiny):
    client = openai.OpenAI(base_url=tiny.address + "/v1", api_key="none")
    options = {"model": "model", "prompt": fresh(8), "max_tokens": 2, "temperature": 0}
    whole = client.completions.create(**options)
    assert whole.model_extra["cache"]["status"] == "MISS"
    chunks = list(client.completions.create(**options, stream=True, stream_options={"include_usage": True}))
    assert [bool((chunk.model_extra or {}).get("cache")) for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].model_extra["cache"]["status"] == "HIT"
    assert json.loads(chunks[-1].model_dump_json())["cache"]["reused_tokens"] == ALL


def places(chunks):
    """Of those chunks that have it: (whether it says how its choice ended, the object)."""
    found = [(chunk, (chunk.model_extra or {}).get("cache")) for chunk in chunks]
    return [(bool(chunk.choices and chunk.choices[0].finish_reason), cached) for chunk, cached in found if cached]


def test_a_stream_without_usage_has_it_once_in_the_last_chunk_that_ends_a_choice(tiny):
    client = openai.OpenAI(base_url=tiny.address + "/v1", api_key="none")
    both = {"model": "model", "max_tokens": 5, "stream": True}
    text = {**both, "prompt": [fresh(9), fresh(10)], "n": 2, "temperature": 1}
    chat = {**both, "messages": [{"role": "user", "content": "Hello"}]}
    cases = [(client.completions.create, text), (client.chat.completions.create, chat)]
    for create, options in cases:
        for status in ("MISS", "HIT"):
            chunks = list(create(**options))
            [(ends, cached)] = places(chunks)
            assert ends and chunks[-1].model_extra["cache"] == cached
            assert cached["status"] == status and cached["reason"]
        assert cached["reused_tokens"] > 0
        usage = list(create(**options, stream_options={"include_usage": True}))
        assert [ends for ends, _ in places(usage)] == [False] and not usage[-1].choices
        continuous = list(create(**options, stream_options={"continuous_usage_stats": True}))
        assert [ends for ends, _ in places(continuous)] == [True]
