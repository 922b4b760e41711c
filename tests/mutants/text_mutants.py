"""Mutants of tokens to text, and text to its readers."""

from mutant import OUTPUT, STOP, STREAM, WAKE, Mutant

TEXT_MUTANTS = [
    Mutant(
        "held-back text is lost at the end",
        [
            (
                OUTPUT,
                "  num_held_ = 0;\n"
                "  return ends ?",
                "  return ends ?",
            ),
        ],
    ),
    Mutant(
        "a stop string leaks",
        [
            (
                OUTPUT,
                "(rules_.include_stop ? 0 : found->num_bytes)",
                "0",
            ),
        ],
    ),
    Mutant(
        "the beginning of a stop string leaks",
        [
            (
                OUTPUT,
                "  num_held_ = stops_.num_held();\n",
                "  num_held_ = 0;\n",
            ),
        ],
    ),
    Mutant(
        "the end of a turn is text",
        [
            (
                OUTPUT,
                "if (detokenizer_ && has_text)",
                "if (detokenizer_)",
            ),
        ],
    ),
    Mutant(
        "one token more than max_tokens",
        [
            (
                OUTPUT,
                "if (!ends && num_tokens_ < rules_.max_tokens)",
                "if (!ends && num_tokens_ <= rules_.max_tokens)",
            ),
        ],
    ),
    Mutant(
        "half a character at the end is lost",
        [
            (
                OUTPUT,
                "  if (detokenizer_) detokenizer_->finish(text_);\n",
                "",
            ),
        ],
    ),
    Mutant(
        "a stop string inside its own beginning is missed",
        [
            (
                STOP,
                "while (matched > 0 && text[matched] != byte) matched = fallback[matched - 1];",
                "(void)fallback; if (matched > 0 && text[matched] != byte) matched = 0;",
            ),
        ],
    ),
    Mutant(
        "an event replaces the one before",
        [
            (
                STREAM,
                "gathered.text.append(part.text);",
                "gathered.text = part.text;",
            ),
        ],
    ),
    Mutant(
        "an interrupted reader is not resumed",
        [
            (
                STREAM,
                "  if (reader) state_->queue->post(reader);\n",
                "",
            ),
        ],
    ),
    Mutant(
        "an event is given twice",
        [
            (
                STREAM,
                "  state.gathered.num_tokens = 0;\n"
                "  state.has_event = false;\n",
                "  state.has_event = false;\n",
            ),
        ],
    ),
    Mutant(
        "readers are woken one by one",
        [
            (
                WAKE,
                "readers_[begin].queue == queue; ++begin)",
                "readers_[begin].queue == queue && handles_.empty(); ++begin)",
            ),
        ],
    ),
    Mutant(
        "half a character has its logprobs at once",
        [
            (
                OUTPUT,
                " || (half && begins_[num - 1] == certain_end)",
                "",
            ),
        ],
    ),
    Mutant(
        "a stop string counts before min_tokens",
        [
            (
                OUTPUT,
                "if (num_tokens_ <= rules_.min_tokens) return false;",
                "if (num_tokens_ < rules_.min_tokens) return false;",
            ),
        ],
    ),
]
