import openai
import pytest

import served


def models():
    """The real model where it is there, and a tiny one with random weights, which says anything, always."""
    real = served.smollm2()
    found = [pytest.param((served.TINY_MODEL, served.TINY_OPTIONS), id="tiny")]
    if real:
        found.append(pytest.param((real, ["--cache-memory-mb", "512"]), id="smollm2"))
    return found


@pytest.fixture(scope="session", params=models())
def server(request):
    model, options = request.param
    running = served.Served(model, "--continuous-batching", *options)
    running.is_real = model != served.TINY_MODEL
    yield running
    assert running.terminate() == 0


@pytest.fixture(scope="session")
def client(server):
    with openai.OpenAI(base_url=server.address + "/v1", api_key="none", max_retries=0, timeout=300) as made:
        yield made


notes = []


@pytest.fixture(scope="session")
def note():
    """note("a figure"): said at the end of the run, also when all is well."""
    return notes.append


def pytest_terminal_summary(terminalreporter):
    for line in notes:
        terminalreporter.write_line(line)
