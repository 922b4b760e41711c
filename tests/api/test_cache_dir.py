"""--cache-dir: what was cached is found by the next server, whole and right, however the one before it ended.

SLIPSTREAM_KILLS=200 tests/api/run PROGRAM FOLDER -k kill: as many kills at random moments as wanted."""

import json
import os
import random
import stat
import subprocess
import threading
import time
import urllib.request

import pytest

import served

OTHER_MODEL = served.HERE.parent / "data" / "oracle" / "qwen3-fp16"
NUM_KILLS = int(os.environ.get("SLIPSTREAM_KILLS", "6"))
# A pool of 16 blocks: most prompts push others out.
SMALL = ["--paged-cache-block-size", "16", "--max-model-len", "200"]


class Server(served.Served):
    def __init__(self, folder, *options, model=served.TINY_MODEL):
        template = ["--chat-template", str(served.HERE / "chatml.jinja")]
        super().__init__(model, "--continuous-batching", *template, "--cache-dir", str(folder), *options)

    def request(self, method, path, key="none", **body):
        data = json.dumps(body).encode() if body else None
        headers = {"Authorization": f"Bearer {key}"}
        request = urllib.request.Request(self.address + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def ask(self, prompt, key="none", **fields):
        asked = {"prompt": prompt, "max_tokens": 6, "temperature": 0, "logprobs": 5, **fields}
        return Answer(self.request("POST", "/v1/completions", key, **asked))

    def disk(self):
        return self.request("GET", "/v1/cache/stats")["disk"]

    def settled(self, at_least):
        """Its counts, once so many blocks were written."""
        for _ in range(200):
            if self.disk()["writes"] >= at_least:
                break
            time.sleep(0.05)
        return self.disk()


class Answer:
    def __init__(self, body):
        self.bits = json.dumps(body["choices"])  # text and logprobs, to the last digit
        self.num_reused = body["usage"]["prompt_tokens_details"]["cached_tokens"]
        self.status = body["cache"]["status"]


def prompt(number, length=150):
    return [(number * 7919 + i * i * 31 + i * (number % 5)) % 200 + 3 for i in range(length)]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def cold():
    """Answers of a server that remembers nothing, by prompt and fields."""
    server = served.Served(served.TINY_MODEL, "--continuous-batching", *served.TINY_OPTIONS, "--no-prefix-cache")
    known = {}

    def answer(asked):
        if tuple(asked) not in known:
            known[tuple(asked)] = Server.ask(CompletionsOf(server), asked).bits
        return known[tuple(asked)]

    yield answer
    assert server.terminate() == 0


class CompletionsOf:
    def __init__(self, server):
        self.address = server.address

    request = Server.request


def test_the_next_server_finds_all_but_the_last_token(folder, cold):
    lengths = [1, 2, 15, 16, 17, 63, 64, 65, 100, 128, 150]
    first = Server(folder)
    for length in lengths:
        first.ask(prompt(length, length), max_tokens=1)
    assert first.terminate() == 0
    second = Server(folder)
    for length in lengths:
        answer = second.ask(prompt(length, length))
        assert (answer.bits, answer.num_reused) == (cold(prompt(length, length)), length - 1), length
    assert second.disk()["hits"] > 0
    assert second.disk()["errors"] == 0
    assert second.terminate() == 0


def test_a_chat_goes_on_behind_the_answer_of_the_server_before(folder):
    first = Server(folder)
    asked = {"prompt": prompt(1, 60), "max_tokens": 40, "ignore_eos": True, "return_token_ids": True}
    body = first.request("POST", "/v1/completions", **asked)
    assert first.terminate() == 0
    tokens = body["choices"][0]["token_ids"]
    assert len(tokens) == 40
    second = Server(folder)
    assert second.ask([*prompt(1, 60), *tokens, 5, 6, 7]).num_reused == 99  # the last of an answer is never computed
    assert second.terminate() == 0


def test_what_memory_has_no_room_for_comes_back(folder, cold):
    server = Server(folder, *SMALL, "--cache-memory-mb", "1")
    total = server.request("GET", "/v1/cache/stats")["blocks_total"]
    num_prompts = total // 9 + 4
    for number in range(num_prompts):
        assert server.ask(prompt(number)).bits == cold(prompt(number))
    assert server.settled(9)["writes"] >= 9
    again = [server.ask(prompt(number)) for number in range(num_prompts)]
    assert [answer.bits for answer in again] == [cold(prompt(number)) for number in range(num_prompts)]
    assert server.disk()["hits"] > 0
    assert sum(answer.num_reused for answer in again) > 100 * num_prompts
    assert server.terminate() == 0


def test_it_is_for_its_owner_alone_and_one_server_at_a_time(folder):
    server = Server(folder)
    server.ask(prompt(1))
    with pytest.raises(RuntimeError, match=r"ended with 1: slipstream: --cache-dir: .* is in use by another process"):
        Server(folder)
    assert server.terminate() == 0
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    folder.chmod(0o755)
    with pytest.raises(RuntimeError, match=r"ended with 1: slipstream: --cache-dir: .* is open to other users"):
        Server(folder)


def test_keys_and_salts_are_kept_apart_over_a_restart(folder):
    keys = ["--api-key", "alice", "--api-key", "bob"]
    first = Server(folder, *keys)
    first.ask(prompt(1), "alice")
    first.ask(prompt(2), "alice", cache_salt="blue")
    assert first.terminate() == 0
    second = Server(folder, "--api-key", "bob", "--api-key", "alice")
    for key, number, fields in [("bob", 1, {}), ("alice", 2, {}), ("alice", 1, {"cache_salt": "blue"})]:
        assert second.ask(prompt(number), key, **fields).status == "MISS"
    assert second.terminate() == 0
    third = Server(folder, *keys)
    assert third.ask(prompt(1), "alice").status == "HIT"
    assert third.ask(prompt(2), "alice", cache_salt="blue").status == "HIT"
    assert third.terminate() == 0


def test_another_model_and_other_blocks_find_nothing(folder):
    first = Server(folder)
    first.ask(prompt(1))
    assert first.terminate() == 0
    for options, model in [([], OTHER_MODEL), (["--paged-cache-block-size", "32"], served.TINY_MODEL)]:
        other = Server(folder, *options, model=model)
        assert other.disk()["blocks"] == 0
        assert other.disk()["bytes"] > 0
        assert other.ask(prompt(1)).status == "MISS"
        assert other.terminate() == 0
    again = Server(folder)
    assert again.ask(prompt(1)).status == "HIT"
    assert again.terminate() == 0


def test_clearing_the_cache_empties_the_folder(folder):
    server = Server(folder)
    server.ask(prompt(1))
    assert server.terminate() == 0
    assert len(list(folder.glob("*.kv"))) > 2
    server = Server(folder)
    server.request("DELETE", "/v1/cache")
    assert server.ask(prompt(1)).status == "MISS"
    for _ in range(100):
        if not list(folder.glob("*.kv")):
            break
        time.sleep(0.05)
    assert not list(folder.glob("*.kv"))
    assert server.terminate() == 0


def test_damaged_files_are_as_if_they_were_not_there(folder, cold):
    server = Server(folder)
    for number in range(5):
        server.ask(prompt(number))
    assert server.terminate() == 0
    dice = random.Random(1)
    files = sorted(folder.glob("*.kv"))
    for file in files:
        content = bytearray(file.read_bytes())
        kind = dice.randrange(4)
        if kind == 0:
            content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
        elif kind == 1:
            del content[dice.randrange(len(content)) :]
        elif kind == 2:
            content[dice.randrange(len(content)) :] = b""
            content.extend(bytes(file.stat().st_size - len(content)))
        else:
            content = bytearray(dice.choice(files).read_bytes())  # another block's, whole
        file.write_bytes(content)
    server = Server(folder)
    for number in range(5):
        assert server.ask(prompt(number)).bits == cold(prompt(number))
    assert server.disk()["errors"] > 0
    assert server.terminate() == 0


def test_the_folder_stays_within_its_size(folder):
    server = Server(folder, *SMALL, "--cache-memory-mb", "1", "--cache-disk-mb", "1")
    for number in range(40):
        server.ask(prompt(number))
    assert server.terminate() == 0
    assert sum(file.stat().st_size for file in folder.glob("*.kv")) <= 1 << 20


# No request fails before the kill, and after it every answer is right.
def test_a_kill_at_any_moment_leaves_nothing_wrong(folder, cold, note):
    dice = random.Random(7)
    num_found = 0
    for kill in range(NUM_KILLS):
        server = Server(folder, *SMALL, "--cache-memory-mb", "1")
        is_killed = threading.Event()
        wrong = []

        def ask_on(seed):
            own = random.Random(seed)
            while not is_killed.is_set():
                asked = prompt(own.randrange(30))
                try:
                    if server.ask(asked).bits != cold(asked):
                        wrong.append(asked)
                except Exception as error:  # a connection that the kill cut
                    if not is_killed.is_set():
                        wrong.append(error)

        for number in range(30):
            cold(prompt(number))
        askers = [threading.Thread(target=ask_on, args=(100 * kill + i,)) for i in range(3)]
        for asker in askers:
            asker.start()
        time.sleep(dice.uniform(0.05, 0.6))
        is_killed.set()
        if kill % 3 == 2:
            server.process.terminate()  # in the middle of putting things away
            time.sleep(dice.uniform(0, 0.05))
        server.process.kill()
        server.process.wait()
        for asker in askers:
            asker.join()
        assert wrong == []
        after = Server(folder, *SMALL, "--cache-memory-mb", "1")
        for number in range(0, 30, 7):
            answer = after.ask(prompt(number))
            assert answer.bits == cold(prompt(number))
            num_found += answer.num_reused
        assert after.disk()["errors"] == 0
        after.kill()
    note(f"{NUM_KILLS} kills of a server: every answer right, {num_found} tokens found on the disk")
    assert num_found > 0


def test_a_disk_without_room_costs_blocks_and_no_request(tmp_path, cold):
    mounted = tmp_path / "small"
    mounted.mkdir(mode=0o700)
    command = ["mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "none", str(mounted)]
    made = subprocess.run(command, capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip("SKIPPED: no file system may be mounted here")
    try:
        server = Server(mounted, *SMALL, "--cache-memory-mb", "1")
        for number in range(30):
            assert server.ask(prompt(number)).bits == cold(prompt(number))
        for number in range(30):
            assert server.ask(prompt(number)).bits == cold(prompt(number))
        assert server.disk()["errors"] > 0
        assert server.terminate() == 0
    finally:
        subprocess.run(["umount", "-l", str(mounted)], check=False)
