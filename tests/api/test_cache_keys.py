"""What one client's requests leave in the cache no other's request finds: API keys, cache_salt, --share-cache; and how
many prompts are remembered (--no-memory-aware-cache)."""

import concurrent.futures
import contextlib
import json
import urllib.request

import pytest

import served

KEYS = ["alice", "bob"]
PROMPT = list(range(5, 205))  # three blocks and a part


@contextlib.contextmanager
def serving(*options):
    running = served.Served(served.TINY_MODEL, "--continuous-batching", *served.TINY_OPTIONS, *options)
    yield running
    assert running.terminate() == 0


def ask(server, key, **fields):
    body = json.dumps({"prompt": PROMPT, "max_tokens": 1, "temperature": 0, **fields}).encode()
    request = urllib.request.Request(server.address + "/v1/completions", body, {"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def reused(server, key, **fields):
    return ask(server, key, **fields)["usage"]["prompt_tokens_details"]["cached_tokens"]


@pytest.fixture(scope="module", params=["apart", "shared"])
def keyed(request):
    shared = ["--share-cache"] if request.param == "shared" else []
    with serving(*(f"--api-key={key}" for key in KEYS), *shared) as it:
        it.shares = request.param == "shared"
        yield it


ALL = len(PROMPT) - 1


def test_what_one_key_cached_no_other_hits_unless_they_share(keyed):
    assert reused(keyed, "alice") == 0
    assert reused(keyed, "alice") == ALL
    assert reused(keyed, "bob") == (ALL if keyed.shares else 0)
    assert reused(keyed, "bob") == ALL


def test_no_token_is_copied_across_keys(keyed):
    """The common tokens inside the first block that differs are copied within a key alone."""
    begin, end = PROMPT[::-1][:90], PROMPT[:40]
    assert reused(keyed, "alice", prompt=begin) == 0
    assert reused(keyed, "bob", prompt=begin + end) == (90 if keyed.shares else 0)
    assert reused(keyed, "alice", prompt=begin + end[::-1]) >= 90


def test_a_salt_narrows_within_a_key_and_among_those_that_share(keyed):
    prompt = [token + 1 for token in PROMPT]
    assert reused(keyed, "alice", prompt=prompt, cache_salt="a") == 0
    assert reused(keyed, "alice", prompt=prompt, cache_salt="a") == ALL
    assert reused(keyed, "alice", prompt=prompt, cache_salt="b") == 0
    assert reused(keyed, "alice", prompt=prompt) == 0
    assert reused(keyed, "bob", prompt=prompt, cache_salt="a") == (ALL if keyed.shares else 0)


def test_all_prompts_of_a_list_and_all_choices_have_the_salt(keyed):
    prompts = [[token + 2 for token in PROMPT], [token + 3 for token in PROMPT]]
    assert reused(keyed, "alice", prompt=prompts, n=2, temperature=1, cache_salt="c") == 0
    assert reused(keyed, "alice", prompt=prompts, n=2, temperature=1, cache_salt="c") == 2 * ALL
    assert reused(keyed, "alice", prompt=prompts, n=2, temperature=1) == 0


def test_nobody_waits_for_what_another_key_computes(keyed):
    """Together: each key computes the prompt once. Who waited for the other's would report its tokens as cached."""
    prompt = [token + 4 for token in PROMPT]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        asked = [(key, pool.submit(reused, keyed, key, prompt=prompt)) for key in KEYS * 4]
    found = [(key, future.result()) for key, future in asked]
    for key in KEYS:
        own = sorted(tokens for of, tokens in found if of == key)
        assert own.count(0) == 1 or keyed.shares, found
        assert min(own[1:]) >= 192, found  # whole blocks at least
    assert not keyed.shares or [tokens for _, tokens in found].count(0) == 1


def test_the_answer_does_not_depend_on_key_or_salt(keyed):
    salts = [{}, {"cache_salt": "z"}]
    texts = {ask(keyed, key, max_tokens=8, **salt)["choices"][0]["text"] for key in KEYS for salt in salts}
    assert len(texts) == 1


def test_so_many_prompts_are_remembered():
    prompts = [[token + 20 * number for token in PROMPT[:100]] for number in range(3)]
    with serving("--no-memory-aware-cache", "--prefix-cache-size", "2") as server:
        assert [reused(server, "", prompt=prompt) for prompt in prompts] == [0, 0, 0]
        assert [reused(server, "", prompt=prompt) for prompt in reversed(prompts)] == [99, 99, 0]
