"""Where a request says nothing, sampling is as the model's generation_config.json suggests; what it says, wins."""

import json
import shutil

import parameter_rows
import pytest
import served

SUGGESTED = {"do_sample": True, "temperature": 1.9, "top_k": 1, "max_new_tokens": 7, "eos_token_id": [2, 0]}
PROMPT = {"messages": [{"role": "user", "content": "Say la."}]}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("suggests") / "model"
    shutil.copytree(served.TINY_MODEL, folder)
    (folder / "generation_config.json").write_text(json.dumps(SUGGESTED))
    return folder


def asker_of(model, *options):
    running = served.Served(model, *served.TINY_OPTIONS, *options)
    return running, parameter_rows.Asker(running.address, "chat")


def test_suggestions_hold_unless_the_request_says_otherwise(model):
    running, ask = asker_of(model)
    try:
        plain = {"without": ["temperature", "max_tokens"], "seed": 3, "ignore_eos": True, **PROMPT}
        answer = ask.answer(**plain)
        assert answer["usage"]["completion_tokens"] == 7
        greedy = ask.text(max_tokens=7, ignore_eos=True, **PROMPT)
        assert ask.text_of(answer["choices"][0]) == greedy  # the suggested top_k leaves one token
        assert ask.text(**plain, top_k=-1) != greedy  # and without it the suggested temperature shows
        assert ask.text(**{**plain, "without": ["max_tokens"]}, top_k=-1, temperature=0) == greedy
        without = ["temperature"]
        assert ask.answer(**{**plain, "without": without}, max_tokens=9)["usage"]["completion_tokens"] == 9
        assert ask.answer(**plain, max_completion_tokens=11)["usage"]["completion_tokens"] == 11
        assert ask.refusal(max_tokens=None, min_tokens=8, **PROMPT) == "min_tokens"
        text = parameter_rows.Asker(running.address, "completions")
        answer = text.answer(without=without, max_tokens=None, ignore_eos=True, seed=3)
        assert answer["usage"]["completion_tokens"] == 16  # OpenAI's: a suggestion is of chats
        assert running.terminate() == 0
    finally:
        running.kill()


def test_none_turns_them_off(model):
    running, ask = asker_of(model, "--generation-config", "none")
    try:
        fields = {"max_tokens": 20, "ignore_eos": True, "seed": 3, **PROMPT}
        unsaid = ask.text(**fields, without=["temperature"])
        assert unsaid == ask.text(**fields, temperature=1, top_k=-1) != ask.text(**fields, temperature=0)
        assert ask.count(**fields, without=["temperature"]) == 20
        assert running.terminate() == 0
    finally:
        running.kill()


def test_do_sample_false_is_greedy():
    """As transformers has it; the tiny model's own file says so."""
    running, ask = asker_of(served.TINY_MODEL)
    try:
        texts = {ask.text(without=["temperature"], seed=seed, max_tokens=20, **PROMPT) for seed in range(4)}
        assert texts == {ask.text(max_tokens=20, **PROMPT)}
        assert running.terminate() == 0
    finally:
        running.kill()
