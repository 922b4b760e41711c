"""Whatever a request says, it is answered or refused in OpenAI's words, and nobody else notices.

The corpus of hostile_requests.py and hostile_http.py, one request after the other. After each an honest one is
answered as ever, and beside all of it a stream runs again and again, each time with the text it has alone.
"""

import collections
import json
import threading

import pytest

import hostile_http
import hostile_requests
import raw_http
import served

GOOD = {"model": "model", "prompt": [5, 6, 7], "max_tokens": 6, "temperature": 0, "ignore_eos": True}
GOOD_REQUEST = raw_http.post("/v1/completions", json.dumps(GOOD).encode())
GOOD_STREAM = raw_http.post(
    "/v1/chat/completions",
    json.dumps({"model": "model", "messages": [{"role": "user", "content": "Tell me of é and 😀."}], "max_tokens": 120,
                "temperature": 0.9, "seed": 77, "ignore_eos": True, "stream": True}).encode(),
)


def streamed_text(answer):
    return "".join(event["choices"][0]["delta"].get("content", "") for event in answer.events())


class Neighbour(threading.Thread):
    """An honest client whose stream must not change, whatever happens beside it."""

    def __init__(self, address):
        super().__init__()
        self.address, self.ended, self.fault, self.count = address, threading.Event(), None, 0
        self.alone = streamed_text(raw_http.ask(address, GOOD_STREAM))

    def run(self):
        try:
            with raw_http.RawClient(self.address) as client:
                while not self.ended.is_set():
                    client.send(GOOD_STREAM)
                    text = streamed_text(client.answer())
                    assert text == self.alone, (text, self.alone)
                    self.count += 1
        except Exception as fault:  # told by the test's own thread
            self.fault = fault

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()
        assert self.fault is None, self.fault
        assert self.count > 0


@pytest.fixture(scope="module")
def address():
    running = served.Served(served.TINY_MODEL, "--continuous-batching", *served.TINY_OPTIONS)
    yield running.address
    assert running.terminate() == 0


def check_usage(usage, num_choices):
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["prompt_tokens"] >= 1 and usage["completion_tokens"] >= num_choices
    assert 0 <= usage["prompt_tokens_details"]["cached_tokens"] < usage["prompt_tokens"]


def check_whole(path, answer):
    whole = answer.json()
    is_chat = path == hostile_requests.CHAT
    assert whole["object"] == ("chat.completion" if is_chat else "text_completion")
    assert whole["model"] == "model" and whole["id"] and isinstance(whole["created"], int)
    assert [choice["index"] for choice in whole["choices"]] == list(range(len(whole["choices"])))
    for choice in whole["choices"]:
        assert choice["finish_reason"] in ("stop", "length")
        assert isinstance(choice["message"]["content"] if is_chat else choice["text"], str)
    check_usage(whole["usage"], len(whole["choices"]))


def check_stream(answer):
    events = answer.events()
    assert len({(event["id"], event["created"], event["object"], event["model"]) for event in events}) == 1
    finished = [choice["index"] for event in events for choice in event["choices"] if choice["finish_reason"]]
    begun = {choice["index"] for event in events for choice in event["choices"]}
    assert sorted(finished) == sorted(begun) and begun


def check(case, answer):
    """The status, if the answer is right."""
    if answer.status == 200:
        if answer.headers["content-type"] == "text/event-stream":
            check_stream(answer)
        else:
            check_whole(case.path, answer)
    else:
        error = answer.error()
        # 404: a mutation named another model.
        is_unknown_model = answer.status == 404 and error["code"] == "model_not_found"
        assert answer.status == 400 or is_unknown_model, (answer.status, error)
    assert case.status in (0, answer.status), (case.status, answer.status, answer.body[:400])
    return answer.status


def run_corpus(address, cases):
    """How many answers of each status. One connection for all: a refused body ends nothing."""
    statuses = collections.Counter()
    faults = []
    with Neighbour(address), raw_http.RawClient(address, timeout_s=120) as client:
        client.send(GOOD_REQUEST)
        expected = client.answer().json()["choices"]
        for case in cases:
            try:
                client.send(raw_http.post(case.path, case.body))
                statuses[check(case, client.answer())] += 1
            except (AssertionError, KeyError, TypeError, ValueError) as fault:
                faults.append((case.name, case.body[:300], repr(fault)[:600]))
            client.send(GOOD_REQUEST)
            assert client.answer().json()["choices"] == expected, case.name
    assert not faults, f"{len(faults)} wrong, the first: {faults[:5]}"
    return statuses


def test_requests_that_are_almost_right(address, note):
    cases = list(hostile_requests.cases())
    statuses = run_corpus(address, cases)
    assert len(cases) >= 300 and sum(statuses.values()) == len(cases)
    assert statuses[200] >= 100 and statuses[400] >= 300  # the corpus is of both kinds
    note(f"corpus: {len(cases)} mutated requests: {dict(sorted(statuses.items()))}")


def test_bodies_that_are_no_request(address, note):
    cases = list(hostile_requests.malformed())
    statuses = run_corpus(address, cases)
    count = len(hostile_requests.MALFORMED)
    assert count >= 60 and sum(statuses.values()) == len(cases)
    note(f"corpus: {count} malformed bodies, each to two places: {dict(sorted(statuses.items()))}")


def check_http(address, request, expected):
    """The statuses that came."""
    statuses = []
    with raw_http.RawClient(address) as client:
        client.send(request)
        for _ in range(1 if expected == 0 else sum(status != hostile_http.CLOSED for status in expected)):
            answer = client.answer(has_body=not request.startswith(b"HEAD") or statuses)
            statuses.append(answer.status)
            if answer.status != 200 and answer.body:
                answer.error()
        if expected == 0:
            assert statuses[0] in (200, 400), statuses
            return statuses
        if hostile_http.CLOSED in expected:
            assert client.is_closed(), "not closed"
            statuses.append(hostile_http.CLOSED)
        assert statuses == expected and not client.received, (statuses, client.received[:200])
    return statuses


def test_what_is_wrong_below_json(address, note):
    counts = collections.Counter()
    faults = []
    with Neighbour(address):
        expected = raw_http.ask(address, GOOD_REQUEST).json()["choices"]
        for name, (request, statuses) in hostile_http.HTTP.items():
            try:
                counts.update(status for status in check_http(address, request, statuses) if status != "closed")
            except (AssertionError, KeyError, ValueError, raw_http.Gone, TimeoutError) as fault:
                faults.append((name, repr(fault)[:400]))
            assert raw_http.ask(address, GOOD_REQUEST).json()["choices"] == expected, name
    assert not faults, "\n".join(map(str, faults))
    note(f"corpus: {len(hostile_http.HTTP)} requests wrong below JSON: {dict(sorted(counts.items()))}")


def test_a_body_waits_for_100_continue(address):
    body = json.dumps(GOOD).encode()
    with raw_http.RawClient(address) as client:
        client.send(raw_http.post("/v1/completions", body, "Expect: 100-continue")[: -len(body)])
        assert client.answer().status == 100
        client.send(body)
        assert client.answer().status == 200
    with raw_http.RawClient(address) as client:  # HTTP/1.0 does not know the word
        request = raw_http.post("/v1/completions", body, "Expect: 100-continue").replace(b"HTTP/1.1", b"HTTP/1.0")
        client.send(request[: -len(body)])
        client.send(body)
        assert client.answer().status == 200
