#!/usr/bin/env python3
"""How much more does a server give when five ask at once? Over HTTP, as its clients see it.

python3 tests/test_continuous_batching.py                starts the server itself
python3 tests/test_continuous_batching.py --url http://HOST:PORT/v1 [--api-key KEY]

Prints tokens a second of one request alone, of five together (all their tokens), and the speed-up. The one that was
alone is among the five, and its answer must be the same.

Exit status 1: an answer has not all its tokens, the same request got another answer, or five together are no faster.
"""

import concurrent.futures
import time

import chat_client

QUESTIONS = [
    "Tell me about the sea.",
    "How is bread made?",
    "Describe a walk through a forest in autumn.",
    "What does a lighthouse keeper do all day?",
    "Explain how a bicycle stays upright.",
]


def main():
    parser = chat_client.arguments_parser(__doc__.splitlines()[0])
    parser.add_argument("--max-tokens", type=int, default=64, help="of each answer (%(default)s)")
    parser.add_argument("--any-speed", action="store_true", help="do not mind how fast (on a busy machine)")
    arguments = parser.parse_args()

    def chat(question):
        return server.chat([{"role": "user", "content": question}], arguments.max_tokens)

    with chat_client.Server(arguments, "--continuous-batching") as server:
        print(f"{server.model}, {arguments.max_tokens} tokens each\n", flush=True)
        chat_client.say("warming up")
        chat("Hello.")
        chat_client.say("one request alone")
        single = chat(QUESTIONS[0])
        chat_client.say(f"{len(QUESTIONS)} requests together")
        begin_s = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(len(QUESTIONS)) as clients:
            batch = list(clients.map(chat, QUESTIONS))
        batch_s = time.monotonic() - begin_s

    single_speed = single.completion_tokens / single.whole_s
    batch_speed = sum(answer.completion_tokens for answer in batch) / batch_s
    speed_up = batch_speed / single_speed
    wrong = [""] * 3
    if single.completion_tokens != arguments.max_tokens:
        wrong[0] = f"  WRONG: {single.completion_tokens} tokens"
    short = [answer.completion_tokens for answer in batch if answer.completion_tokens != arguments.max_tokens]
    if short:
        wrong[1] = f"  WRONG: answers of {short} tokens"
    elif batch[0].text != single.text:
        wrong[1] = "  WRONG: the same request got another answer"
    if speed_up <= 1 and not arguments.any_speed:
        wrong[2] = "  WRONG: no faster"
    print(f"{'':<14}{'tokens':>8}{'seconds':>10}{'tokens/s':>11}")
    print(f"{'single':<14}{single.completion_tokens:>8}{single.whole_s:>10.2f}{single_speed:>11.1f}{wrong[0]}")
    total = sum(answer.completion_tokens for answer in batch)
    print(f"{f'batch of {len(batch)}':<14}{total:>8}{batch_s:>10.2f}{batch_speed:>11.1f}{wrong[1]}")
    print(f"{'speed-up':<14}{speed_up:>28.2f}x{wrong[2]}")
    return 1 if any(wrong) else 0


if __name__ == "__main__":
    chat_client.run(main)
