"""`llm`, the command line tool: a model of this server is three lines in its extra-openai-models.yaml."""

import os
import subprocess
import sys

import pytest


@pytest.fixture
def llm(server, tmp_path):
    (tmp_path / "extra-openai-models.yaml").write_text(
        f"- model_id: chat\n  model_name: model\n  api_base: {server.address}/v1\n"
        f"- model_id: base\n  model_name: model\n  api_base: {server.address}/v1\n  completion: true\n"
    )

    def run(*arguments):
        command = [sys.executable, "-m", "llm", *arguments]
        environment = {**os.environ, "LLM_USER_PATH": str(tmp_path), "OPENAI_API_KEY": "none"}
        return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False)

    return run


GREEDY = ["-o", "temperature", "0", "-o", "max_tokens", "12"]


def test_streamed_and_whole_are_the_answer(llm, client):
    question = "What is the capital of France?"
    messages = [{"role": "user", "content": question}]
    said = client.chat.completions.create(model="model", messages=messages, temperature=0, max_tokens=12)
    for how in ([], ["--no-stream"]):
        done = llm("-m", "chat", *GREEDY, *how, question)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == said.choices[0].message.content + "\n"


def test_a_talk_goes_on(llm, client):
    first = llm("-m", "chat", *GREEDY, "--system", "Be brief.", "Hello")
    assert first.returncode == 0
    done = llm("--continue", *GREEDY, "And now?")
    assert done.returncode == 0
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": first.stdout[:-1]},
        {"role": "user", "content": "And now?"},
    ]
    said = client.chat.completions.create(model="model", messages=messages, temperature=0, max_tokens=12)
    assert done.stdout == said.choices[0].message.content + "\n"


def test_completions_and_options(llm, client):
    options = ["-o", "temperature", "0.8", "-o", "seed", "5", "-o", "top_p", "0.9", "-o", "max_tokens", "10"]
    penalties = ["-o", "frequency_penalty", "0.5", "-o", "presence_penalty", "0.5"]
    done = llm("-m", "base", *options, *penalties, "Once upon a time")
    assert (done.returncode, done.stderr) == (0, "")
    fields = {"temperature": 0.8, "seed": 5, "top_p": 0.9, "max_tokens": 10}
    fields |= {"frequency_penalty": 0.5, "presence_penalty": 0.5}
    said = client.completions.create(model="model", prompt="Once upon a time", **fields)
    assert done.stdout == said.choices[0].text + "\n"


def test_a_refusal_is_said(llm):
    done = llm("-m", "chat", "-o", "temperature", "2", "-o", "max_tokens", "100000000000", "hi")
    assert done.returncode == 1 and "max_tokens" in done.stderr
