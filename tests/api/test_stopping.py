"""SIGTERM: what runs is finished, what comes is refused, the exit status is 0."""

import signal
import time

import openai

import served


def test_sigterm_finishes_a_stream_and_refuses_what_comes():
    running = served.Served(
        served.TINY_MODEL, "--continuous-batching", "--shutdown-timeout", "100", *served.TINY_OPTIONS
    )
    try:
        with openai.OpenAI(base_url=running.address + "/v1", api_key="none", max_retries=0, timeout=60) as client:
            fields = {"model": "model", "temperature": 0, "max_tokens": 400, "extra_body": {"ignore_eos": True}}
            expected = client.completions.create(prompt="Once", **fields).choices[0].text
            # So many that some still run when the late request comes.
            streams = [client.completions.create(prompt="Once", stream=True, **fields) for _ in range(8)]
            iterators = [iter(stream) for stream in streams]
            texts = [next(iterator).choices[0].text for iterator in iterators]
            running.process.send_signal(signal.SIGTERM)
            time.sleep(0.05)
            refused = None
            try:
                client.completions.create(prompt="late", **fields)
            except openai.APIStatusError as error:
                refused = error.status_code
            except openai.APIConnectionError:
                refused = "ended"
            for index, iterator in enumerate(iterators):
                texts[index] += "".join(chunk.choices[0].text for chunk in iterator)
            assert texts == [expected] * 8
            assert refused in (503, "ended")
            assert running.wait() == 0
    finally:
        running.kill()


def test_an_idle_server_ends_at_once_with_0():
    for stop in (signal.SIGTERM, signal.SIGINT):
        running = served.Served(served.TINY_MODEL, *served.TINY_OPTIONS)
        try:
            begun = time.monotonic()
            running.process.send_signal(stop)
            assert running.wait() == 0
            assert time.monotonic() - begun < 10
        finally:
            running.kill()


def test_in_simple_mode_the_others_wait_in_turn():
    running = served.Served(served.TINY_MODEL, *served.TINY_OPTIONS)
    try:
        with openai.OpenAI(base_url=running.address + "/v1", api_key="none", max_retries=0, timeout=60) as client:
            fields = {"model": "model", "temperature": 0, "max_tokens": 20}
            prompts = [f"{number} bottles" for number in range(6)]
            alone = [client.completions.create(prompt=prompt, **fields).choices[0].text for prompt in prompts]
            together = client.completions.create(prompt=prompts, **fields)
            assert [choice.text for choice in together.choices] == alone
        assert running.terminate() == 0
    finally:
        running.kill()
