"""What those need who run the server beside others: keys, pages for probes and metrics, headers, an orderly end."""

import http.client
import json
import shutil
import signal
import socket
import subprocess
import threading
import time

import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families

import served

QUESTION = [{"role": "user", "content": "hi"}]


def ask(address, method, path, body=None, headers=None):
    """The answer: status, headers, body."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)
    connection.request(method, path, body=json.dumps(body) if body is not None else None, headers=headers or {})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, answer.headers, text


@pytest.fixture(scope="module")
def tiny():
    running = served.Served(served.TINY_MODEL, "--continuous-batching", *served.TINY_OPTIONS)
    yield running
    assert running.terminate() == 0


# ---- metrics ----

# Name, type, labels beside model_name: what routers and dashboards read. Changing a line breaks somebody's.
CONTRACT = {
    ("vllm:num_requests_running", "gauge", ()),
    ("vllm:num_requests_waiting", "gauge", ()),
    ("vllm:kv_cache_usage_perc", "gauge", ()),
    ("vllm:gpu_cache_usage_perc", "gauge", ()),
    ("vllm:prefix_cache_queries", "counter", ()),
    ("vllm:prefix_cache_hits", "counter", ()),
    ("vllm:gpu_prefix_cache_queries", "counter", ()),
    ("vllm:gpu_prefix_cache_hits", "counter", ()),
    ("vllm:num_preemptions", "counter", ()),
    ("vllm:prompt_tokens", "counter", ()),
    ("vllm:generation_tokens", "counter", ()),
    ("vllm:spec_decode_num_drafts", "counter", ()),
    ("vllm:spec_decode_num_draft_tokens", "counter", ()),
    ("vllm:spec_decode_num_accepted_tokens", "counter", ()),
    ("vllm:request_success", "counter", ("finished_reason",)),
    ("vllm:request_queue_time_seconds", "histogram", ("le",)),
    ("vllm:time_to_first_token_seconds", "histogram", ("le",)),
    ("vllm:inter_token_latency_seconds", "histogram", ("le",)),
    ("vllm:e2e_request_latency_seconds", "histogram", ("le",)),
    ("vllm:cache_config_info", "gauge", ("block_size", "num_gpu_blocks")),
    ("slipstream_steps", "counter", ()),
    ("slipstream_rows", "counter", ()),
    ("slipstream_last_step_seconds", "gauge", ()),
    ("slipstream_kv_blocks_remembered", "gauge", ()),
    ("slipstream_cache_requests", "counter", ("status",)),
    ("slipstream_cache_evictions", "counter", ()),
    ("slipstream_disk_cache_blocks", "gauge", ()),
    ("slipstream_disk_cache_bytes", "gauge", ()),
    ("slipstream_disk_cache_hits", "counter", ()),
    ("slipstream_disk_cache_writes", "counter", ()),
    ("slipstream_disk_cache_errors", "counter", ()),
    ("slipstream_build_info", "gauge", ("version",)),
    ("slipstream_http_responses", "counter", ("code",)),
}


def scrape(address):
    status, headers, text = ask(address, "GET", "/metrics")
    assert status == 200 and headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return list(text_string_to_metric_families(text))


def value(families, name, **labels):
    found = [
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    assert len(found) == 1, (name, labels, found)
    return found[0]


def test_names_types_and_labels_of_the_metrics_are_these(tiny):
    ask(tiny.address, "GET", "/version")
    families = scrape(tiny.address)
    said = set()
    for family in families:
        assert family.documentation
        assert all(sample.labels["model_name"] == "model" for sample in family.samples), family.name
        labels = {label for sample in family.samples for label in sample.labels} - {"model_name"}
        said.add((family.name, family.type, tuple(sorted(labels))))
    assert said == CONTRACT


def test_metrics_count_what_happened(tiny):
    before = scrape(tiny.address)
    body = {"model": "model", "prompt": [9, 8, 7, 6, 5] * 26, "max_tokens": 4, "temperature": 0, "ignore_eos": True}
    for _ in range(2):
        assert ask(tiny.address, "POST", "/v1/completions", body)[0] == 200
    assert ask(tiny.address, "POST", "/v1/completions", {"model": "model", "prompt": "x", "temperature": 9})[0] == 400
    after = scrape(tiny.address)

    def grown(name, **labels):
        return value(after, name, **labels) - value(before, name, **labels)

    assert grown("vllm:prompt_tokens_total") == 260
    assert grown("vllm:generation_tokens_total") == 8
    assert grown("vllm:prefix_cache_queries_total") == 260
    assert grown("vllm:prefix_cache_hits_total") == 129  # the second time all but the last
    assert grown("vllm:request_success_total", finished_reason="length") == 2
    for name, times in [("time_to_first_token", 2), ("inter_token_latency", 6), ("e2e_request_latency", 2)]:
        assert grown(f"vllm:{name}_seconds_count") == times
        assert grown(f"vllm:{name}_seconds_bucket", le="+Inf") == times
        assert 0 < grown(f"vllm:{name}_seconds_sum") < 60
    assert grown("slipstream_cache_requests_total", status="hit") == 1
    assert grown("slipstream_cache_requests_total", status="miss") == 1
    assert value(after, "vllm:cache_config_info", block_size="64") == 1
    assert value(after, "vllm:num_requests_running") == 0 == value(after, "vllm:num_requests_waiting")


def cache_stats(address):
    status, headers, text = ask(address, "GET", "/v1/cache/stats")
    assert status == 200 and headers["Content-Type"].startswith("application/json")
    return json.loads(text)


def test_the_cache_says_what_it_holds_and_forgets_it_when_told(tiny):
    body = {"model": "model", "prompt": list(range(40, 60)) * 10, "max_tokens": 2, "temperature": 0, "ignore_eos": True}

    def cached():
        status, _, text = ask(tiny.address, "POST", "/v1/completions", body)
        assert status == 200
        return json.loads(text)["usage"]["prompt_tokens_details"]["cached_tokens"]

    before = cache_stats(tiny.address)
    assert before["object"] == "cache.stats" and before["block_tokens"] == 64
    assert before["bytes_per_block"] > 0 and before["blocks_total"] > 4 and before["blocks_in_use"] == 0
    assert [cached(), cached()] == [0, 199]
    after = cache_stats(tiny.address)
    assert after.keys() == before.keys()
    assert after["disk"] == {"blocks": 0, "bytes": 0, "hits": 0, "writes": 0, "errors": 0}  # there is none
    grown = {name: after[name] - before[name] for name in after if name not in ("object", "disk")}
    assert (grown["misses"], grown["hits"], grown["prefix_hits"]) == (1, 1, 0)
    assert (grown["tokens_reused"], grown["tokens_computed"]) == (199, 201 + 2)
    assert grown["blocks_remembered"] == 4 and after["entries"] >= 1 and after["blocks_in_use"] == 0

    status, _, text = ask(tiny.address, "DELETE", "/v1/cache")
    assert (status, json.loads(text)) == (200, {"object": "cache", "deleted": True})
    assert cached() == 0
    empty = cache_stats(tiny.address)
    assert (empty["entries"], empty["blocks_remembered"]) == (1, 4)  # of the prompt that came after
    assert empty["evictions"] == after["evictions"]  # told to forget is not for want of room

    status, headers, _ = ask(tiny.address, "GET", "/v1/cache")
    assert (status, headers["Allow"]) == (405, "DELETE, OPTIONS")
    status, headers, _ = ask(tiny.address, "DELETE", "/v1/cache/stats")
    assert (status, headers["Allow"]) == (405, "GET, HEAD, OPTIONS")


def test_prometheus_own_checker_has_nothing_to_say(tiny):
    promtool = shutil.which("promtool") or pytest.skip("SKIPPED: needs promtool (Debian's package prometheus)")
    page = ask(tiny.address, "GET", "/metrics")[2]
    done = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, text=True, timeout=60)
    assert done.returncode in (0, 3), done.stderr  # 1: it is no metrics page; 3: it is, and something could be nicer
    said = [line for line in done.stderr.splitlines() if not line.endswith("metric names should not contain ':'")]
    assert said == []  # but the colon of vLLM's names


def test_buckets_never_fall(tiny):
    for family in scrape(tiny.address):
        if family.type != "histogram":
            continue
        buckets = [sample for sample in family.samples if sample.name.endswith("_bucket")]
        bounds = [float(sample.labels["le"]) for sample in buckets]
        counts = [sample.value for sample in buckets]
        assert bounds == sorted(set(bounds)) and counts == sorted(counts) and bounds[-1] == float("inf")


# ---- headers ----


def test_ids_and_traces_come_back_on_every_answer(tiny):
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    sent = {"X-Request-Id": "abc-123", "traceparent": trace, "X-Nobody-Knows": "this", "tracestate": "a=b"}
    chat = {"model": "model", "messages": QUESTION, "max_tokens": 2}
    for method, path, body, expected in [
        ("POST", "/v1/chat/completions", chat, 200),
        ("POST", "/v1/chat/completions", {**chat, "stream": True}, 200),
        ("POST", "/v1/chat/completions", {**chat, "temperature": 9}, 400),
        ("GET", "/v1/nothing", None, 404),
        ("PUT", "/v1/models", None, 405),
        ("GET", "/health", None, 200),
    ]:
        status, headers, _ = ask(tiny.address, method, path, body, sent)
        assert (status, headers["X-Request-Id"], headers["traceparent"]) == (expected, "abc-123", trace)
    too_long = {"X-Request-Id": "x" * 129}
    ids = {ask(tiny.address, "GET", "/health", headers=too_long)[1]["X-Request-Id"] for _ in range(3)}
    assert len(ids) == 3 and all(len(name) < 129 for name in ids)


def test_the_official_client_finds_the_id(client):
    answer = client.chat.completions.create(model="model", messages=QUESTION, max_tokens=1)
    assert answer._request_id.startswith("req_")


def test_browsers_are_told_nothing_unless_an_origin_is_allowed(tiny):
    question = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    for method, path in [("OPTIONS", "/v1/chat/completions"), ("GET", "/v1/models")]:
        status, headers, _ = ask(tiny.address, method, path, headers=question)
        assert status == 200
        assert not [name for name in headers if name.lower().startswith("access-control")]


def test_allowed_origins_may_ask_and_others_not():
    options = ["--allowed-origins", "https://a.example", "--allowed-origins", "http://localhost:3000", "--api-key", "k"]
    running = served.Served(served.TINY_MODEL, *options, *served.TINY_OPTIONS)
    try:
        question = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        for origin, allowed in [("https://a.example", "https://a.example"), ("https://b.example", None)]:
            status, headers, _ = ask(
                running.address, "OPTIONS", "/v1/chat/completions", headers={"Origin": origin, **question}
            )
            assert (status, headers["Access-Control-Allow-Origin"], headers["Vary"]) == (200, allowed, "Origin")
            assert headers["Access-Control-Allow-Headers"] == ("authorization" if allowed else None)
        key = {"Origin": "http://localhost:3000", "Authorization": "Bearer k"}
        body = {"model": "model", "messages": QUESTION, "max_tokens": 2, "stream": True}
        for fields, expected in [(body, 200), ({}, 400)]:
            status, headers, _ = ask(running.address, "POST", "/v1/chat/completions", fields, key)
            assert (status, headers["Access-Control-Allow-Origin"]) == (expected, "http://localhost:3000")
        assert running.terminate() == 0
    finally:
        running.kill()


# ---- keys ----


def test_keys_from_a_file(tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("# ours\nalpha\n\nbeta\n")
    keys.chmod(0o600)
    options = ["--api-key-file", str(keys), "--api-key", "gamma", *served.TINY_OPTIONS]
    running = served.Served(served.TINY_MODEL, *options)
    try:
        for key, status in [("alpha", 200), ("beta", 200), ("gamma", 200), ("# ours", 401), ("", 401), ("alph", 401)]:
            assert ask(running.address, "GET", "/v1/models", headers={"Authorization": f"Bearer {key}"})[0] == status
        assert running.terminate() == 0
    finally:
        running.kill()


@pytest.mark.parametrize(
    ("text", "mode", "says"),
    [("", 0o600, "has no key"), ("a b\n", 0o600, "line 1"), ("alpha\n", 0o666, "can be written by every user")],
)
def test_files_of_keys_that_are_refused(tmp_path, text, mode, says):
    keys = tmp_path / "keys"
    keys.write_text(text)
    keys.chmod(mode)
    command = [served.PROGRAM, "serve", str(served.TINY_MODEL), "--api-key-file", str(keys)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and says in done.stderr and done.stderr.count("\n") == 1, done.stderr


# ---- the life of the process ----


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_while_the_model_loads_the_port_is_open_and_says_so():
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [served.PROGRAM, "serve", "--dummy", "qwen3-0.6b-8bit", "--threads", "1", "--port", str(port)]
    command += ["--cache-memory-mb", "256"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < deadline and process.poll() is None
                time.sleep(0.005)
        chat = {"model": "qwen3-0.6b-8bit", "messages": QUESTION}
        for method, path, body in [
            ("POST", "/v1/chat/completions", chat),
            ("GET", "/ready", None),
            ("HEAD", "/ready", None),
            ("OPTIONS", "/", None),
            ("GET", "/health", None),
        ]:
            status, headers, text = ask(address, method, path, body)
            assert (status, headers["Retry-After"]) == (503, "1"), path
            if path not in ("/health", "/") and method != "HEAD":
                error = json.loads(text)["error"]
                assert error["type"] == "service_unavailable" and "loading" in error["message"]
        assert ask(address, "GET", "/version")[0] == 200
        families = scrape(address)
        assert value(families, "slipstream_http_responses_total", code="503") == 5
        assert "vllm:cache_config_info" not in [family.name for family in families]
        assert process.stdout.readline()  # one line of facts: it serves
        assert ask(address, "GET", "/ready")[0] == 200
        assert ask(address, "OPTIONS", "/")[0] == 200
        assert ask(address, "GET", "/health")[0] == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.stdout.close()
        process.kill()
        process.wait()


class Streaming(threading.Thread):
    """One long stream: its events, and how it ended."""

    def __init__(self, address, max_tokens):
        super().__init__()
        self.events = []
        self.begun = threading.Event()
        self.connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=120)
        body = {"model": "model", "prompt": [5, 6], "max_tokens": max_tokens, "ignore_eos": True, "stream": True}
        self.connection.request("POST", "/v1/completions", json.dumps(body))
        self.start()

    def run(self):
        for line in self.connection.getresponse():
            if line.startswith(b"data: "):
                self.events.append(line[6:].strip().decode())
                self.begun.set()
        self.connection.close()

    def texts(self):
        chunks = [json.loads(event) for event in self.events[:-1]]
        return [chunk for chunk in chunks if chunk.get("choices") and chunk["choices"][0]["text"]]


def ready_status(address):
    """Of /ready; None where the connection, still without a request, was closed with all idle ones."""
    try:
        return ask(address, "GET", "/ready")[0]
    except (http.client.RemoteDisconnected, ConnectionResetError):
        return None


def tokens_in(seconds, address):
    """So many tokens take about as long here and now: under a sanitizer a tenth of what the release does."""
    body = {"model": "model", "prompt": [5, 6], "max_tokens": 16, "ignore_eos": True}
    began = time.monotonic()
    assert ask(address, "POST", "/v1/completions", body)[0] == 200
    return max(16, min(1900, int(16 * seconds / (time.monotonic() - began))))


def test_sigterm_finishes_the_streams_and_refuses_what_comes():
    real = served.smollm2() or pytest.skip("SKIPPED: needs a model that takes a while")
    shutdown_timeout_s = 100
    options = ["--cache-memory-mb", "256", "--shutdown-timeout", str(shutdown_timeout_s)]
    running = served.Served(real, "--continuous-batching", *options)
    try:
        # They run long after the signal's few milliseconds, and end long before they would be cut off.
        max_tokens = tokens_in(4, running.address)
        streams = [Streaming(running.address, max_tokens) for _ in range(2)]
        assert all(stream.begun.wait(60) for stream in streams)
        running.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 60
        while ready_status(running.address) != 503:
            assert time.monotonic() < deadline
        chat = {"model": "model", "messages": QUESTION}
        status, headers, text = ask(running.address, "POST", "/v1/chat/completions", chat)
        assert (status, headers["Retry-After"]) == (503, "1")
        assert "shutting down" in json.loads(text)["error"]["message"]
        assert running.wait(shutdown_timeout_s + 60) == 0
        for stream in streams:
            stream.join()
            assert stream.events[-1] == "[DONE]"
            assert json.loads(stream.events[-2])["choices"][0]["finish_reason"] == "length"
    finally:
        running.kill()


def test_what_the_shutdown_timeout_cuts_off_is_told_so():
    real = served.smollm2() or pytest.skip("SKIPPED: needs a model that takes a while")
    running = served.Served(real, "--continuous-batching", "--cache-memory-mb", "256", "--shutdown-timeout", "1")
    try:
        stream = Streaming(running.address, 1900)
        assert stream.begun.wait(60)
        came_before = len(stream.texts())
        began = time.monotonic()
        assert running.terminate() == 0
        assert time.monotonic() - began > 0.9
        stream.join()
        assert stream.events[-1] == "[DONE]"
        assert json.loads(stream.events[-2])["error"]["type"] == "service_unavailable"
        assert len(stream.texts()) > came_before  # what was written until then came
    finally:
        running.kill()


# ---- the queue ----


def test_a_full_queue_is_429_with_retry_after():
    options = ["--max-waiting-requests", "2", "--max-waiting-tokens", "5000"]
    running = served.Served(served.TINY_MODEL, *options, *served.TINY_OPTIONS)
    try:
        body = {"model": "model", "prompt": [5], "max_tokens": 2, "n": 20}
        status, headers, text = ask(running.address, "POST", "/v1/completions", body)
        error = json.loads(text)["error"]
        assert (status, headers["Retry-After"], error["type"]) == (429, "1", "rate_limit_error")
        assert "of at most 2 wait" in error["message"]
        time.sleep(1)  # as told: what was let in of the twenty leaves the queue with the engine's next step
        assert ask(running.address, "POST", "/v1/completions", {**body, "n": 1})[0] == 200
        with pytest.raises(openai.RateLimitError):
            client = openai.OpenAI(base_url=running.address + "/v1", api_key="none", max_retries=0)
            client.completions.create(**body)
        assert running.terminate() == 0
    finally:
        running.kill()


def test_one_keys_crowd_does_not_hold_up_anothers_request():
    real = served.smollm2() or pytest.skip("SKIPPED: needs a model that takes a while")
    keys = ["--api-key", "crowd", "--api-key", "lone"]
    running = served.Served(real, "--cache-memory-mb", "256", *keys)  # one at a time
    try:
        body = {"model": "model", "prompt": [5], "max_tokens": 16, "ignore_eos": True}
        crowd = http.client.HTTPConnection(running.address.removeprefix("http://"), timeout=600)
        crowd.request("POST", "/v1/completions", json.dumps({**body, "n": 100}), {"Authorization": "Bearer crowd"})
        while value(scrape(running.address), "vllm:num_requests_waiting") < 50:
            time.sleep(0.01)
        status, _, _ = ask(running.address, "POST", "/v1/completions", body, {"Authorization": "Bearer lone"})
        assert status == 200
        waiting = value(scrape(running.address), "vllm:num_requests_waiting")
        assert waiting > 50  # of the crowd: it was not first come, first served
        crowd.close()
        assert running.terminate() == 0
    finally:
        running.kill()
