#!/usr/bin/env python3
"""Is a prompt that was there before found in the cache? Over HTTP, as a client sees it.

python3 tests/test_prefix_cache.py                       starts the server itself
python3 tests/test_prefix_cache.py --url http://HOST:PORT/v1 [--api-key KEY]

1a the first prompt        MISS
1b the same again          HIT: all but its last token, whose logits are needed
1c the same system prompt  PREFIX_HIT(n), n = the tokens that begin alike
1d that variant again      HIT

A server that runs may have seen these prompts: they come under a cache_salt of their own, new in each run.
Exit status 1: a row is wrong.
"""

import chat_client

SYSTEM = (
    "You are the assistant of a small town library. You answer in plain words and in at most three sentences. You know "
    "the opening hours: Monday to Friday from nine to six, Saturday from ten to two. You never invent a book, and when "
    "you do not know something you say so and name the desk where people are glad to help."
)
FIRST = "When can I bring back a book on Saturday?"
VARIANT = "Which desk helps me to find an old map?"
STEPS = [
    ("1a", "the first prompt", FIRST),
    ("1b", "the same again", FIRST),
    ("1c", "the same system prompt", VARIANT),
    ("1d", "that variant again", VARIANT),
]
ANSWER_TOKENS = 16


def status_of(cached_tokens, prompt_tokens):
    if cached_tokens == 0:
        return "MISS"
    return "HIT" if cached_tokens == prompt_tokens - 1 else f"PREFIX_HIT({cached_tokens})"


def told(answer):
    """What the server itself says beside its usage, where it does; it must be the same."""
    if not answer.cache:
        return status_of(answer.cached_tokens, answer.prompt_tokens), ""
    status, reused = answer.cache["status"], answer.cache["reused_tokens"]
    return f"PREFIX_HIT({reused})" if status == "PREFIX_HIT" else status, answer.cache["reason"]


def common_tokens(left, right):
    return next((i for i, pair in enumerate(zip(left, right)) if pair[0] != pair[1]), min(len(left), len(right)))


def main():
    arguments = chat_client.arguments_parser(__doc__.splitlines()[0]).parse_args()
    all_right, first_s = True, None
    with chat_client.Server(arguments) as server:
        print(f"{server.model}\n")
        columns = f"{'step':<5}{'prompt':<24}{'expected':<18}{'is':<18}{'cached':>12}{'TTFT':>11}{'speed-up':>10}"
        print(f"{columns}  why not more")
        before = []
        for name, what, question in STEPS:
            messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}]
            tokens = server.tokens_of(messages)
            common = max((common_tokens(tokens, other) for other in before), default=0)
            before.append(tokens)
            answer = server.chat(messages, ANSWER_TOKENS)
            expected = status_of(min(common, len(tokens) - 1), len(tokens))
            status = status_of(answer.cached_tokens, answer.prompt_tokens)
            says, reason = told(answer)
            first_s = first_s or answer.first_text_s
            right = expected == status == says
            all_right = all_right and right
            print(
                f"{name:<5}{what:<24}{expected:<18}{status:<18}{answer.cached_tokens:>5} / {answer.prompt_tokens:<4}"
                f"{answer.first_text_s * 1e3:>8.1f} ms{first_s / answer.first_text_s:>9.1f}x"
                f"  {reason}{'' if right else '  WRONG'}{'' if says == status else f', it says {says}'}",
                flush=True,
            )
    print("\nevery row is right" if all_right else "\na row is wrong")
    return 0 if all_right else 1


if __name__ == "__main__":
    chat_client.run(main)
