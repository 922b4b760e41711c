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
                "num_rows), sequence.keys(), sequence.table);\n",
            ),
        ],
        listed=True,
    ),
    Mutant(
        "blocks leak on cancel",
        [
            (
                SCHEDULER,
                "    release(sequence);\n"
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
                "  sequence.num_computed = match.num_tokens + match.num_common;\n",
                "  sequence.num_computed = std::max(sequence.num_computed, match.num_tokens + match.num_common);\n",
            ),
        ],
        listed=True,
        note="admission sets num_computed anew, so that forgetting the reset in release() "
             "alone is seen by check() only: here both are gone",
    ),
    Mutant(
        "a prompt preempts what is already planned",
        [
            (
                SCHEDULER,
                "    ledger_.release(sequence.table);\n"
                "    return Turn::kNone;\n",
                "    ledger_.release(sequence.table);\n"
                "    preempt_newest();\n"
                "    return Turn::kNone;\n",
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
                ".first_position = sequence->num_computed,",
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
                "    return Turn::kNone;\n",
                "    ledger_.release(sequence.table);\n"
                "    SequenceList one;\n"
                "    if (!sequence.num_cached) waiting_.take_next(one), waiting_.add(one);\n"
                "    return Turn::kNone;\n",
            ),
        ],
    ),
    Mutant(
        "a preempted sequence loses its answer",
        [
            (
                SCHEDULER,
                "  release(sequence);\n"
                "  waiting_.send_back",
                "  release(sequence);\n"
                "  sequence.tokens.resize(sequence.num_prompt_tokens);\n"
                "  waiting_.send_back",
            ),
        ],
    ),
    Mutant(
        "a result that is not finite is remembered",
        [
            (
                SCHEDULER,
                "      ledger_.release(sequence.table);\n"
                "      end(sequence);\n",
                "      ledger_.remember(std::span(sequence.tokens).first(sequence.num_computed + "
                "plan.slices()[index].num_rows), sequence.keys(), sequence.table);\n"
                "      ledger_.release(sequence.table);\n"
                "      end(sequence);\n",
            ),
        ],
    ),
    Mutant(
        "an ended sequence keeps its blocks",
        [
            (
                SCHEDULER,
                "    release(sequence);\n"
                "    end(sequence);",
                "    end(sequence);",
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
        "the last row is not sampled",
        [
            (
                SAMPLER,
                "run_tasks(static_cast<uint32_t>(runs_.size()),",
                "run_tasks(static_cast<uint32_t>(runs_.size()) - 1,",
            ),
        ],
    ),
    Mutant(
        "logprobs are of logits with a bias",
        [
            (
                SAMPLER,
                "(bends_logits(sequence.sampling, sequence.counts) || !may_end)",
                "!may_end",
            ),
        ],
    ),
    Mutant(
        "logprobs are of logits with banned tokens",
        [
            (
                SAMPLER,
                "(bends_logits(sequence.sampling, sequence.counts) || !may_end)",
                "bends_logits(sequence.sampling, sequence.counts)",
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
                "is_scored ? Match() : ledger_.match(",
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
                "  score(row, output, raw);\n",
                "  score(row, output, logits);\n",
            ),
        ],
    ),
    Mutant(
        "the answer may end before min_tokens",
        [
            (
                SAMPLER,
                "const bool may_end = output.may_end(num_before);",
                "const bool may_end = output.num_tokens() > 0 || output.may_end(num_before);",
            ),
        ],
    ),
    Mutant(
        "a wait is stored, and lasts when the one that computed is cancelled",
        [
            (
                SCHEDULER,
                "  if (may_wait && is_worth_waiting(sequence, match)) return pass_over(sequence);\n",
                "  static std::vector<const Sequence*> waits;\n"
                "  if (std::ranges::count(waits, &sequence) > 0 || (may_wait && is_worth_waiting(sequence, match))) {\n"
                "    if (running_.size() == 1) waits.push_back(&sequence);\n"
                "    return pass_over(sequence);\n"
                "  }\n",
            ),
        ],
        listed=True,
    ),
    Mutant(
        "whoever waited is never called again",
        [
            (
                SCHEDULER,
                "  waiting_.recall();\n",
                "",
            ),
        ],
        listed=True,
    ),
    Mutant(
        "a copy has one token more",
        [
            (
                SCHEDULER,
                "sequence.table.back(), match.num_common};",
                "sequence.table.back(), match.num_common + 1};",
            ),
        ],
        listed=True,
    ),
    Mutant(
        "a copy is not made",
        [
            (
                SCHEDULER,
                "if (copy.from != copy.to) plan_.add_copy(copy);",
                "(void)copy;",
            ),
        ],
    ),
    Mutant(
        "a block is copied onto itself",
        [
            (
                SCHEDULER,
                "if (copy.from != copy.to) plan_",
                "plan_",
            ),
        ],
    ),
    Mutant(
        "a copy goes the wrong way",
        [
            (
                SCHEDULER,
                "{*match.source, sequence.table.back(), match",
                "{sequence.table.back(), *match.source, match",
            ),
        ],
    ),
    Mutant(
        "copies are made again in the next step",
        [
            (
                PLAN,
                "  copies_.clear();\n",
                "",
            ),
        ],
    ),
    Mutant(
        "what is copied is computed all the same",
        [
            (
                SCHEDULER,
                "= match.num_tokens + match.num_common;",
                "= match.num_tokens;",
            ),
        ],
    ),
    Mutant(
        "whoever waits keeps what it found",
        [
            (
                SCHEDULER,
                "  ledger_.release(sequence.table);\n"
                "  waiting_.pass_over",
                "  waiting_.pass_over",
            ),
        ],
    ),
    Mutant(
        "a scored prompt waits for what it cannot use",
        [
            (
                SCHEDULER,
                "const bool may_wait = !is_scored && !sequence.num_cached;",
                "const bool may_wait = !sequence.num_cached;",
            ),
        ],
    ),
    Mutant(
        "whoever was sent back waits for a newer one",
        [
            (
                SCHEDULER,
                "const bool may_wait = !is_scored && !sequence.num_cached;",
                "const bool may_wait = !is_scored;",
            ),
        ],
    ),
    Mutant(
        "a block under another parent is waited for",
        [
            (
                SCHEDULER,
                "if (index > 0 && other.table[index - 1] != sequence.table[index - 1]) return false;",
                "",
            ),
        ],
    ),
    Mutant(
        "a block with another key is waited for",
        [
            (
                SCHEDULER,
                "return extra_key_of_block(other.keys(), first, block_tokens) ==\n"
                "               extra_key_of_block(sequence.keys(), first, block_tokens) &&\n"
                "           std",
                "(void)first;\n"
                "    return std",
            ),
        ],
    ),
    Mutant(
        "nobody waits, all compute the same",
        [
            (
                SCHEDULER,
                "  if (!ledger_.shares() || end > sequence.num_tokens()) return false;",
                "  if (end > 0) return false;",
            ),
        ],
    ),
    Mutant(
        "without a cache they wait for one another",
        [
            (
                SCHEDULER,
                "!ledger_.shares() || end",
                "end",
            ),
        ],
    ),
    Mutant(
        "others take the seat of whoever waits",
        [
            (
                SCHEDULER,
                "running_.size() + num_passed_over < options_",
                "running_.size() < options_",
            ),
        ],
    ),
    Mutant(
        "the tail of an ended sequence is not remembered",
        [
            (
                SCHEDULER,
                "    release(sequence);\n"
                "    end(sequence);",
                "    ledger_.release(sequence.table);\n"
                "    end(sequence);",
            ),
        ],
    ),
    Mutant(
        "a request that comes back is counted again",
        [
            (
                SCHEDULER,
                "  if (sequence.num_cached) return;  // it was here before\n",
                "",
            ),
        ],
    ),
    Mutant(
        "a request's cache key is dropped",
        [
            (
                ENGINE,
                "  sequence.extra = request.cache_key;\n",
                "",
            ),
        ],
    ),
    Mutant(
        "whoever can copy all waits all the same",
        [
            (
                SCHEDULER,
                "  if (std::min<uint64_t>(end, sequence.num_tokens() - 1) <= match.num_tokens + match.num_common) "
                "return false;\n",
                "",
            ),
        ],
    ),
]
