"""--warm-prompts FILE: chats that begin with its messages find them cached, from the first on; and its errors."""

import json
import urllib.request

import pytest

import served

FILE = served.HERE.parent / "data" / "api" / "warm_prompts.json"
BEGINNINGS = json.loads(FILE.read_text())
QUESTION = {"role": "user", "content": "What stands beside the window?"}


class Asker:
    def __init__(self, server, key="none"):
        self.server, self.headers = server, {"Authorization": f"Bearer {key}"}

    def post(self, path, **body):
        request = urllib.request.Request(self.server.address + path, json.dumps(body).encode(), self.headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def reused(self, messages, **fields):
        answer = self.post("/v1/chat/completions", messages=messages, max_tokens=1, temperature=0, **fields)
        return answer["usage"]["prompt_tokens_details"]["cached_tokens"]

    def num_tokens(self, messages):
        return self.post("/tokenize", messages=messages, add_generation_prompt=False)["count"]


def serving(*options, file=FILE):
    return served.Served(
        served.TINY_MODEL, "--continuous-batching", *served.TINY_OPTIONS, "--warm-prompts", str(file), *options
    )


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_the_first_chat_that_begins_so_finds_it_all(beginning):
    server = serving()
    ask = Asker(server)
    assert ask.reused([*beginning, QUESTION], cache_salt="own") == 0
    assert ask.reused([*beginning, QUESTION]) == ask.num_tokens(beginning) > 64
    assert server.terminate() == 0


@pytest.mark.parametrize("options", [[], ["--share-cache"]])
def test_each_key_finds_it(options):
    server = serving("--api-key", "alice", "--api-key", "bob", *options)
    server.log.seek(0)
    assert ("for each of 2 API keys" in server.log.read().decode()) == (options == [])  # shared: once
    for key, question in [("alice", QUESTION), ("bob", {"role": "user", "content": "And where is the door?"})]:
        ask = Asker(server, key)
        # Where the two share, the second question may begin like the first one.
        assert ask.reused([*BEGINNINGS[0], question]) >= ask.num_tokens(BEGINNINGS[0])
    assert server.terminate() == 0


def test_a_cache_too_small_for_them_says_so():
    server = serving("--no-memory-aware-cache", "--prefix-cache-size", "1")
    server.log.seek(0)
    assert "too small for all warm prompts" in server.log.read().decode()
    assert server.terminate() == 0


LONG = [{"role": "user", "content": "la " * 3000}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not valid JSON"),
        ("[[", "is not valid JSON (at byte"),
        ("{}", "is an object; an array of arrays"),
        ("[]", "has no entry"),
        ('[[{"role": "user", "content": "x"}], {"role": "user"}]', "entry 2: 'messages' is an object"),
        ('[[{"role": "user", "content": "x"}], []]', "entry 2: 'messages' is empty"),
        ('[[{"role": "user", "content": "x"}, {"role": "user"}]]', "entry 1: 'messages[1].content' is missing"),
        ('[[{"role": "wizard", "content": "x"}]]', "entry 1: 'messages[0].role' is 'wizard'"),
        ("[null]", "entry 1: 'messages' is null"),
        (json.dumps([BEGINNINGS[0], LONG]), "entry 2: "),
    ],
)
def test_a_broken_file_is_one_sentence_that_names_the_entry(tmp_path, text, said):
    file = tmp_path / "warm.json"
    file.write_text(text)
    with pytest.raises(RuntimeError) as raised:
        serving("--log-level", "error", file=file).kill()
    message = str(raised.value)
    assert "ended with 1: " in message
    lines = message.split("ended with 1: ")[1].strip().split("\n")
    assert len(lines) == 1 and lines[0].startswith(f"slipstream: '{file}': ") and said in lines[0], lines


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(RuntimeError, match="ended with 1: slipstream: .*gone.json"):
        serving(file=tmp_path / "gone.json").kill()
