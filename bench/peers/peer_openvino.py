#!/usr/bin/env python3
"""One cell of OpenVINO GenAI, in process: run by compare.py with the Python of its environment.

Prints {"values": [tokens a second, ...]}. All prompts are computed in one step, then every step gives each sequence one
token, drawn greedily; nothing is cached between prompts. All else is as OpenVINO chooses.
"""

import argparse
import json
import time

import numpy as np
import openvino
import openvino_genai as genai

WARM_STEPS = 2  # of running sequences
VOCABULARY = 40000  # fewer than any shape's


def make_pipeline(given):
    scheduler = genai.SchedulerConfig()
    scheduler.cache_size = 4  # GB
    scheduler.enable_prefix_caching = False
    scheduler.max_num_batched_tokens = max(given.streams * given.prompt, 512)
    scheduler.max_num_seqs = max(given.streams, 1)
    return genai.ContinuousBatchingPipeline(given.model, scheduler, "CPU", {"INFERENCE_NUM_THREADS": given.threads})


class Requests:
    def __init__(self, pipeline):
        self.pipeline = pipeline
        self.random = np.random.default_rng(1)
        self.asked = 0

    def ask(self, streams, prompt, tokens):
        """Seconds of each step until all are answered."""
        config = genai.GenerationConfig(max_new_tokens=tokens, ignore_eos=True, do_sample=False)
        handles = []  # a request whose handle is gone is dropped
        for _ in range(streams):
            ids = self.random.integers(0, VOCABULARY, (1, prompt)).astype(np.int64)
            handles.append(self.pipeline.add_request(self.asked, openvino.Tensor(ids), config))
            self.asked += 1
        seconds = []
        while self.pipeline.has_non_finished_requests():
            begin = time.perf_counter()
            self.pipeline.step()
            seconds.append(time.perf_counter() - begin)
        answers = [handle.read_all()[0].generated_ids for handle in handles]
        assert all(len(answer) == tokens for answer in answers), "an answer is not as long as it was asked for"
        return seconds


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--prompt", type=int, required=True)
    parser.add_argument("--tokens", type=int, required=True, help="of each sequence; 0: the prompt's speed is measured")
    parser.add_argument("--streams", type=int, required=True)
    parser.add_argument("--repeat", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    given = parser.parse_args()
    requests = Requests(make_pipeline(given))
    values = []
    if given.tokens == 0:
        requests.ask(given.streams, given.prompt, 1)  # prepares what it needs for rows of this number
    for _ in range(given.repeat):
        seconds = requests.ask(given.streams, given.prompt, given.tokens + 1 + WARM_STEPS if given.tokens else 1)
        if given.tokens:
            assert len(seconds) == given.tokens + 1 + WARM_STEPS, f"prompts took {len(seconds) - given.tokens} steps"
            values.append(given.streams * given.tokens / sum(seconds[-given.tokens :]))
        else:
            values.append(given.streams * given.prompt / sum(seconds))
    print(json.dumps({"values": values}))


if __name__ == "__main__":
    main()
