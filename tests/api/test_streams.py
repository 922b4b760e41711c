"""What every stream keeps to, byte by byte, with stop strings wherever they may fall."""

import concurrent.futures
import json

import pytest

import raw_http
import served

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"


def fields_of(path, text, **fields):
    said = {"model": "model", "temperature": 0, "max_tokens": 60, "ignore_eos": True, **fields}
    said |= {"messages": [{"role": "user", "content": text}]} if path == CHAT else {"prompt": text}
    return said


def ask(address, path, text, **fields):
    answer = raw_http.ask(address, raw_http.post(path, json.dumps(fields_of(path, text, **fields)).encode()), 120)
    assert answer.status == 200, answer.body
    return answer


def whole(address, path, text, **fields):
    """Each choice's text and why it ended; the usage."""
    said = ask(address, path, text, **fields).json()
    choices = [choice["message"]["content"] if path == CHAT else choice["text"] for choice in said["choices"]]
    return choices, [choice["finish_reason"] for choice in said["choices"]], said["usage"]


def streamed(address, path, text, **fields):
    """The same out of a stream, whose form is checked; and how many of its events had text."""
    answer = ask(address, path, text, stream=True, stream_options={"include_usage": True}, **fields)
    events = answer.events()
    assert len({(event["id"], event["created"], event["model"], event["object"]) for event in events}) == 1
    assert events[0]["object"] == ("chat.completion.chunk" if path == CHAT else "text_completion")
    assert events[-1]["choices"] == [] and all(event["usage"] is None for event in events[:-1])
    texts, finishes, num_texts = {}, {}, 0
    for event in events[:-1]:
        for choice in event["choices"]:
            index = choice["index"]
            assert index not in finishes, "an event after the end"
            is_first = index not in texts
            if path == CHAT:
                assert ("role" in choice["delta"]) == is_first, "the role comes first, and once"
                piece = choice["delta"].get("content", "")
            else:
                piece = choice["text"]
            texts[index] = texts.get(index, "") + piece
            num_texts += piece != ""
            if choice["finish_reason"]:
                finishes[index] = choice["finish_reason"]
    assert set(finishes) == set(texts)
    indices = range(len(texts))
    return [texts[i] for i in indices], [finishes[i] for i in indices], events[-1]["usage"], num_texts


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
def test_a_stream_is_the_whole_answer_in_pieces(server, path):
    for text in ("Once upon a time", "é 😀 日本 \u0000 \u202e", "data: [DONE]\n\ndata: {}\n\n"):
        fields = {"n": 3, "temperature": 1.1, "seed": 5, "max_tokens": 40}
        texts, finishes, usage = whole(server.address, path, text, **fields)
        assert streamed(server.address, path, text, **fields)[:2] == (texts, finishes)
        assert len(set(texts)) == 3 and usage["completion_tokens"] == 120


def together(ask, inputs):
    """ask() of each, 16 at once: faster, and no answer may depend on it."""
    with concurrent.futures.ThreadPoolExecutor(16) as threads:
        return list(threads.map(ask, inputs))


def stops_of(text, is_real):
    """Pieces of the text, of all lengths and at all places, and pieces that go on as the text does not."""
    for begin in range(0, len(text) - 1, 61 if is_real else 3):
        for length in (1, 2, 3, 7, 20):
            yield text[begin:begin + length]
        yield text[begin:begin + 5] + "~"
        yield text[begin + 1:begin + 3] + "~"
    yield text
    yield text + "~"
    yield text[-4:] + "~"  # held back at the very end, then given


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
def test_a_stop_string_never_leaks_and_takes_nothing_with_it(server, path, note):
    address, question = server.address, "Tell me a story about bread."
    (full,), _, _ = whole(address, path, question)
    stops = sorted(set(stops_of(full, server.is_real)))
    cut = 0
    answers = together(lambda stop: streamed(address, path, question, stop=stop), stops)
    for stop, (texts, finishes, _, _) in zip(stops, answers):
        expected = full[: full.index(stop)] if stop in full else full
        assert (texts[0], finishes[0]) == (expected, "stop" if stop in full else "length"), repr(stop)
        cut += stop in full
    assert cut >= 12 and len(stops) - cut >= 6
    note(f"streams: {len(stops)} stop strings, {cut} of them in the text of {path}: each cut before its first")


def test_of_several_stop_strings_the_first_to_end_counts(server):
    address, question = server.address, "Tell me a story about bread."
    (full,), _, _ = whole(address, COMPLETIONS, question)
    for begin in range(2, min(len(full), 60) - 12, 15 if server.is_real else 5):
        stops = [full[begin + 6:begin + 9], full[begin:begin + 12], "never said", full[begin + 3:begin + 5] + "~"]
        ends = {stop: full.index(stop) + len(stop) for stop in stops if stop in full}
        first = min(ends.values())
        expected = full[: first - max(len(stop) for stop in ends if ends[stop] == first)]
        texts, finishes, _, _ = streamed(address, COMPLETIONS, question, stop=stops)
        assert (texts[0], finishes[0]) == (expected, "stop"), stops
        assert whole(address, COMPLETIONS, question, stop=stops)[0] == [expected]


def test_characters_are_never_cut(server):
    """Every byte of a stream is UTF-8 (events() decodes strictly), and joined it is the whole answer's text."""
    def ask_both_ways(seed):
        fields = {"temperature": 1.6, "seed": seed, "max_tokens": 80}
        text = "😀😀😀😀😀😀 日本語 😀😀"
        (said,), _, _ = whole(server.address, COMPLETIONS, text, **fields)
        assert streamed(server.address, COMPLETIONS, text, **fields)[0] == [said]
        return sum(ord(character) > 0x7F and character != "\ufffd" for character in said)

    of_several_bytes = sum(together(ask_both_ways, range(10 if server.is_real else 16)))
    assert of_several_bytes >= 20  # else this test shows nothing


def tokens_that_are_half_a_character(server):
    """Drawn alone, they are no text but U+FFFD."""
    for lead in range(3, 320):
        if whole(server.address, COMPLETIONS, [lead], max_tokens=1, logit_bias={str(lead): 100})[0] == ["\ufffd"]:
            yield lead


def test_a_character_of_several_tokens_comes_whole(server):
    """Where tokens that are half a character are made likely, streams and whole answers agree on what they became."""
    if server.is_real:
        pytest.skip("needs a vocabulary whose tokens are bytes")
    pieces = list(tokens_that_are_half_a_character(server))
    assert len(pieces) > 100
    halves = 0
    for number, piece in enumerate(pieces[:: len(pieces) // 40]):
        fields = {"logit_bias": {str(piece): 5}, "temperature": 1.2, "seed": number, "max_tokens": 60}
        texts, _, _ = whole(server.address, COMPLETIONS, "x", **fields)
        assert streamed(server.address, COMPLETIONS, "x", **fields)[0] == texts
        halves += texts[0].count("\ufffd")
    assert halves > 0


@pytest.mark.parametrize("interval", [1, 3, 10, 1000])
def test_with_an_interval_nothing_is_dropped(interval):
    running = served.Served(
        served.TINY_MODEL, "--continuous-batching", "--stream-interval", str(interval), *served.TINY_OPTIONS
    )
    try:
        for max_tokens in (1, 2, 9, 10, 11, 100):
            for stop in (None, "~", "e"):
                fields = {"max_tokens": max_tokens, **({"stop": stop} if stop else {})}
                texts, finishes, usage = whole(running.address, CHAT, "Tell me of bread", **fields)
                said = streamed(running.address, CHAT, "Tell me of bread", **fields)
                assert said[:2] == (texts, finishes)
                assert said[2]["completion_tokens"] == usage["completion_tokens"]
                if interval > 1:
                    assert said[3] <= usage["completion_tokens"] // interval + 2, "more pieces than the interval allows"
        assert running.terminate() == 0
    finally:
        running.kill()
