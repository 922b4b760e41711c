"""Mutants of the scheduler, the plan and the loop."""

from mutant import ENGINE, PLAN, SAMPLER, SCHEDULER, Mutant

ENGINE_MUTANTS = [
    Mutant(
        "a block is remembered before it is computed",
        [
            (
                SCHEDULER,
                "  plan_.add(sequence, num_rows, num_logits);\n",
                "  plan_.add(sequence, num_rows, num_logits);\n"
                "  ledger_.remember(std::span(sequence.tokens).first(sequence.num_computed + "
                "num_rows), sequence.extra, sequence.table);\n",
            ),
        ],
        listed=True,
    ),
    Mutant(
        "blocks leak on cancel",
        [
            (
                SCHEDULER,
                "    ledger_.release(sequence.table);\n"
                "    running_.erase(sequence.place);",
                "    running_.erase(sequence.place);",
            ),
        ],
        listed=True,
    ),
    Mutant(
        "no reset on preemption",
        [
            (
                SCHEDULER,
                "  sequence.num_computed = 0;\n",
                "",
            ),
            (
                SCHEDULER,
                "  sequence.num_computed = num_cached;\n",
                "  sequence.num_computed = std::max(sequence.num_computed, num_cached);\n",
            ),
        ],
        listed=True,
        note="admission sets num_computed anew, so that forgetting the reset in preempt_newest() "
             "alone is seen by check() only: here both are gone",
    ),
    Mutant(
        "a prompt preempts what is already planned",
        [
            (
                SCHEDULER,
                "    ledger_.release(sequence.table);\n"
                "    return false;\n",
                "    ledger_.release(sequence.table);\n"
                "    preempt_newest();\n"
                "    return false;\n",
            ),
        ],
        listed=True,
        note="age order makes this impossible inside running_: here a new prompt sends the newest "
             "back instead of waiting for room, and the newest was planned in this step",
    ),
    Mutant(
        "a chunk's border is off by one",
        [
            (
                SCHEDULER,
                "  sequence.num_computed += plan.slices()[index].num_rows;\n",
                "  sequence.num_computed += plan.slices()[index].num_rows;\n"
                "    if (sequence.pending() > 1) ++sequence.num_computed;\n",
            ),
        ],
        listed=True,
    ),
    Mutant(
        "positions are not advanced",
        [
            (
                PLAN,
                ".first_position = sequence.num_computed,",
                ".first_position = 0,",
            ),
        ],
        listed=True,
    ),
    Mutant(
        "logits are taken one token before a prompt's end",
        [
            (
                SCHEDULER,
                "if (num_rows == sequence.pending()) ++num_logits;",
                "if (num_rows + 1 >= sequence.pending()) ++num_logits;",
            ),
        ],
    ),
    Mutant(
        "sequences do not advance",
        [
            (
                SCHEDULER,
                "    sequence.num_computed += plan.slices()[index].num_rows;\n",
                "",
            ),
        ],
    ),
    Mutant(
        "the oldest is preempted",
        [
            (
                SCHEDULER,
                "  Sequence& sequence = running_.back();\n",
                "  Sequence& sequence = running_.front();\n",
            ),
        ],
    ),
    Mutant(
        "a request is admitted though it does not fit",
        [
            (
                SCHEDULER,
                "if (!running_.empty() && num_needed > ledger_.num_free()) {",
                "if (ledger_.num_free() == 0) {",
            ),
        ],
    ),
    Mutant(
        "a later request overtakes one that does not fit",
        [
            (
                SCHEDULER,
                "    ledger_.release(sequence.table);\n"
                "    return false;\n",
                "    ledger_.release(sequence.table);\n"
                "    SequenceList one;\n"
                "    if (!sequence.num_cached) waiting_.take_next(one), waiting_.add(one);\n"
                "    return false;\n",
            ),
        ],
    ),
    Mutant(
        "a preempted sequence loses its answer",
        [
            (
                SCHEDULER,
                "  sequence.num_computed = 0;\n",
                "  sequence.num_computed = 0;\n"
                "  sequence.tokens.resize(sequence.num_prompt_tokens);\n",
            ),
        ],
    ),
    Mutant(
        "a result that is not finite is remembered",
        [
            (
                SCHEDULER,
                "      end(sequence);\n"
                "      continue;\n",
                "      ledger_.remember(std::span(sequence.tokens).first(sequence.num_computed + "
                "plan.slices()[index].num_rows), sequence.extra, sequence.table);\n"
                "      end(sequence);\n"
                "      continue;\n",
            ),
        ],
    ),
    Mutant(
        "an ended sequence keeps its blocks",
        [
            (
                SCHEDULER,
                "  ledger_.release(sequence.table);\n"
                "  ended_.splice",
                "  ended_.splice",
            ),
        ],
    ),
    Mutant(
        "a failed slice shifts its neighbours' logits",
        [
            (
                SAMPLER,
                "      if (logits.slice_finite[slice] == 0) continue;\n",
                "      if (logits.slice_finite[slice] == 0) {\n"
                "        --row;\n"
                "        continue;\n"
                "      }\n",
            ),
        ],
    ),
    Mutant(
        "the draw's position is off by one",
        [
            (
                SAMPLER,
                ".position = row.position, .choice",
                ".position = row.position - 1, .choice",
            ),
        ],
    ),
    Mutant(
        "the draw forgets the choice",
        [
            (
                SAMPLER,
                ".choice = sequence.choice};",
                ".choice = 0};",
            ),
        ],
    ),
    Mutant(
        "an ended sequence can still be cancelled",
        [
            (
                ENGINE,
                "    if (!ended) continue;\n"
                "    sequence.stream->sequence = nullptr;\n",
                "    if (!ended) continue;\n",
            ),
        ],
    ),
    Mutant(
        "text gathered before the end is not sent",
        [
            (
                ENGINE,
                "num_news >= options.stream_interval || ended))",
                "num_news >= options.stream_interval))",
            ),
        ],
    ),
    Mutant(
        "the last thread samples nothing",
        [
            (
                SAMPLER,
                "for (uint32_t i = range.begin; i < range.end; ++i) {",
                "for (uint32_t i = range.begin; i + 1 < range.end; ++i) {",
            ),
        ],
    ),
    Mutant(
        "draining refuses nobody",
        [
            (
                ENGINE,
                "    if (draining.load()) return draining_error();\n",
                "",
            ),
        ],
    ),
    Mutant(
        "a scored prompt takes rows from the cache",
        [
            (
                SCHEDULER,
                "is_scored ? 0 : ledger_.match(",
                "ledger_.match(",
            ),
        ],
    ),
    Mutant(
        "a prompt is scored again after it was sent back",
        [
            (
                SCHEDULER,
                "std::max(sequence.num_computed, sequence.num_scored)",
                "sequence.num_computed",
            ),
        ],
    ),
    Mutant(
        "somebody comes in behind a prompt that is being scored",
        [
            (
                SCHEDULER,
                "!newest_is_cut() && ",
                "",
            ),
        ],
    ),
    Mutant(
        "logprobs come from the logits that the request's rules have changed",
        [
            (
                SAMPLER,
                "row.is_known ? std::span<const float>(logits) : raw",
                "logits",
            ),
        ],
    ),
    Mutant(
        "the answer may end before min_tokens",
        [
            (
                SAMPLER,
                "if (!output.may_end()) {",
                "if (output.num_tokens() == 0 && !output.may_end()) {",
            ),
        ],
    ),
]
