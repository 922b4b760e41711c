"""Mutants of drafts: guessed tokens that are verified several in a step."""

from mutant import DRAFTS, ENGINE, LOOKUP, SAMPLER, SCHEDULER, Mutant

DRAFT_MUTANTS = [
    Mutant(
        "what comes after a wrong draft is taken for the answer",
        [
            (
                SAMPLER,
                "    if (i < slice.drafts.size() && row.token != slice.drafts[i]) return;\n",
                "",
            ),
        ],
    ),
    Mutant(
        "a wrong draft stays computed",
        [
            (
                SCHEDULER,
                "sequence.num_computed += static_cast<uint32_t>(sample.tokens.size()) - 1;",
                "sequence.num_computed += static_cast<uint32_t>(plan.slices()[index].drafts.size());",
            ),
        ],
    ),
    Mutant(
        "a draft that was right is computed again",
        [
            (
                SCHEDULER,
                "    if (sample.tokens.size() > 1) sequence.num_computed += static_cast<uint32_t>"
                "(sample.tokens.size()) - 1;\n",
                "",
            ),
        ],
    ),
    Mutant(
        "penalties do not see the tokens before them in the same step",
        [
            (
                SAMPLER,
                "  sequence.counts.add_output(row.token);\n",
                "  if (num_before == 0) sequence.counts.add_output(row.token);\n",
            ),
        ],
    ),
    Mutant(
        "min_tokens does not count the tokens before in the same step",
        [
            (
                SAMPLER,
                "output.may_end(num_before)",
                "output.may_end()",
            ),
        ],
    ),
    Mutant(
        "all draws of a step are at one position",
        [
            (
                SAMPLER,
                "rows_.push_back({slice, row, first + i, is_known,",
                "rows_.push_back({slice, row, std::min(first + i, sequence.num_tokens()), is_known,",
            ),
        ],
    ),
    Mutant(
        "the answer goes on behind its last token in the same step",
        [
            (
                ENGINE,
                "    if (sample.finish) continue;  // a token before it was the last\n",
                "",
            ),
        ],
    ),
    Mutant(
        "drafts go beyond the answer's length",
        [
            (
                SCHEDULER,
                "std::max(num_to_come, 1u) - 1, num_slots",
                "num_slots",
            ),
        ],
    ),
    Mutant(
        "drafts go beyond the blocks that their sequence has",
        [
            (
                SCHEDULER,
                ", num_slots - sequence.num_tokens()});",
                ", num_slots});",
            ),
        ],
    ),
    Mutant(
        "there are more drafts than rows of logits",
        [
            (
                SCHEDULER,
                "options_.max_scored_rows - num_scored_rows_ - plan_.num_drafts());",
                "options_.max_scored_rows + options_.max_drafts);",
            ),
        ],
    ),
    Mutant(
        "there are more drafts than rows",
        [
            (
                SCHEDULER,
                "std::min(max_rows - plan_.num_rows(),",
                "std::min(options_.max_drafts,",
            ),
        ],
    ),
    Mutant(
        "a chunk of a prompt gets drafts",
        [
            (
                SCHEDULER,
                "  if (sequence.pending() > 1) return 0;\n",
                "",
            ),
            (
                SCHEDULER,
                " || plan_.num_rows() != num_answers) return;",
                ") return;",
            ),
        ],
    ),
    Mutant(
        "a draft that is not finite ends the answer",
        [
            (
                ENGINE,
                "logits.slice_finite[slice] != 0 || !drafts.empty();",
                "logits.slice_finite[slice] != 0;",
            ),
        ],
    ),
    Mutant(
        "what is not finite is tried with drafts for ever",
        [
            (
                SCHEDULER,
                "      sequence.lookup.stop();\n",
                "",
            ),
        ],
    ),
    Mutant(
        "drafts cost nobody anything",
        [
            (
                DRAFTS,
                " * plain_ms - lost_ms;",
                " * plain_ms;",
            ),
        ],
    ),
    Mutant(
        "drafts may take what nobody has credit for",
        [
            (
                DRAFTS,
                "    if (with_ms - plain_ms > credit_ms) continue;\n",
                "",
            ),
        ],
    ),
    Mutant(
        "what a draft costs the others does not count",
        [
            (
                DRAFTS,
                "plain_ms - num_answers * (with_ms",
                "plain_ms - 1 * (with_ms",
            ),
        ],
    ),
    Mutant(
        "the cost of a row is never learned anew",
        [
            (
                DRAFTS,
                "= ++num_learned_ + kStepsKnown;",
                "= ++num_learned_ + (1u << 30);",
            ),
        ],
    ),
    Mutant(
        "the chance of a guess is never learned",
        [
            (
                LOOKUP,
                "    num_tried_ = kMemory * num_tried_ + 1;\n",
                "",
            ),
        ],
    ),
    Mutant(
        "places of other tokens are taken for a guess",
        [
            (
                LOOKUP,
                "return before != 0 && std::ranges::equal(tokens.subspan(before - kAlike, kAlike), last) ? before : 0;",
                "return before;",
            ),
        ],
    ),
]
