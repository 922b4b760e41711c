"""Mutants of the reason that a request is told: why so much of its prompt was reused, and no more."""

from mutant import ENGINE, FORGOTTEN, LEDGER, LEDGER_H, REPORT, SCHEDULER, Mutant

REASON_MUTANTS = [
    Mutant(
        "evicted is told for cleared, of what the ledger notes",
        [
            (
                LEDGER,
                "note_forgotten(*leaf, ReuseEnd::kCleared);",
                "note_forgotten(*leaf, ReuseEnd::kEvicted);",
            ),
        ],
        listed=True,
    ),
    Mutant(
        "evicted is told for cleared, of what is noted as cleared",
        [
            (
                FORGOTTEN,
                "(entry.when & 1) != 0 ? ReuseEnd::kCleared : ReuseEnd::kEvicted",
                "ReuseEnd::kEvicted",
            ),
        ],
        listed=True,
    ),
    Mutant(
        "evicted is told for cleared, in words",
        [
            (
                REPORT,
                '"cleared {} ago',
                '"evicted {} ago',
            ),
        ],
        listed=True,
    ),
    Mutant(
        "the token at which a prompt differs is off by one",
        [
            (
                REPORT,
                '"differs at token {} from what is cached", num_reused)',
                '"differs at token {} from what is cached", num_reused + 1)',
            ),
        ],
        listed=True,
    ),
    Mutant(
        "never seen is told for evicted",
        [
            (
                LEDGER,
                "  note_forgotten(block, ReuseEnd::kEvicted);\n",
                "",
            ),
        ],
        listed=True,
    ),
    Mutant(
        "never seen is told for evicted, where nobody asks what was forgotten",
        [
            (
                LEDGER,
                "    return *was;\n",
                "    (void)was;\n",
            ),
        ],
    ),
    Mutant(
        "what was forgotten behind other tokens is told as forgotten",
        [
            (
                LEDGER_H,
                "return parent == kRoot ? forgotten_.root() : fingerprints_[parent];",
                "return forgotten_.root();",
            ),
        ],
    ),
    Mutant(
        "what is cached ends is told as differs",
        [
            (
                LEDGER,
                "match.num_common < index_.num_tokens(*match.source)",
                "match.num_common <= index_.num_tokens(*match.source)",
            ),
        ],
    ),
    Mutant(
        "what was forgotten of one key is told to another",
        [
            (
                FORGOTTEN,
                "return content_hash(parent, extra, tokens, seed_);",
                "return content_hash(parent, {}, tokens, seed_);",
            ),
        ],
    ),
    Mutant(
        "other key is told for a few common tokens",
        [
            (
                LEDGER,
                "alike->num_common >= (rest.tokens.size() + 1) / 2",
                "alike->num_common >= 1",
            ),
        ],
    ),
    Mutant(
        "what was forgotten is told of no more than what was found",
        [
            (
                FORGOTTEN,
                "    if (length <= num_common) break;\n",
                "",
            ),
        ],
    ),
    Mutant(
        "how long ago is counted from the start",
        [
            (
                FORGOTTEN,
                "now_ns - std::min(now_ns, then_ns)",
                "now_ns",
            ),
        ],
    ),
    Mutant(
        "nobody tells the ledger the time",
        [
            (
                ENGINE,
                "  ledger.set_time(clock.now_ns());\n",
                "",
            ),
        ],
    ),
    Mutant(
        "a request that comes back is told another reason",
        [
            (
                SCHEDULER,
                "if (!sequence.num_cached) sequence.reuse = reuse_of(sequence, match);",
                "sequence.reuse = reuse_of(sequence, match);",
            ),
        ],
    ),
    Mutant(
        "a scored prompt is told that it was never seen",
        [
            (
                SCHEDULER,
                "  if (sequence.scored_until > 0) return {ReuseEnd::kScored};\n",
                "",
            ),
        ],
    ),
    Mutant(
        "the reason is that of the last prompt",
        [
            (
                REPORT,
                "  if (!is_whole_) return;\n",
                "",
            ),
        ],
    ),
]
