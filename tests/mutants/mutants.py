"""The bugs that run.py puts in, one at a time.

A mutant is a name, why it matters, and edits (file, what stands there exactly once, what stands there instead).
`listed`: one of those that every version of this engine must catch. `note`: why it looks as it does in this engine.
"""

from dataclasses import dataclass

LEDGER = "src/cache/kv_ledger.cc"
INDEX = "src/cache/prefix_index.cc"
POOL = "src/cache/block_pool.cc"
SCHEDULER = "src/engine/scheduler.cc"
PLAN = "src/engine/step_plan.cc"
ENGINE = "src/engine/engine.cc"
OUTPUT = "src/engine/output.cc"
STREAM = "src/engine/text_stream.cc"
STOP = "src/engine/stop_matcher.cc"
WAKE = "src/engine/wake_list.h"


@dataclass
class Mutant:
    name: str
    edits: list
    listed: bool = False
    note: str = ""


MUTANTS = [
    Mutant(
        "a block is remembered before it is computed",
        [
            (
                SCHEDULER,
                "  plan_.add(sequence, num_rows);\n",
                "  plan_.add(sequence, num_rows);\n"
                "  ledger_.remember(std::span(sequence.tokens).first(sequence.num_computed + "
                "num_rows), sequence.extra, sequence.table);\n",
            ),
        ],
        listed=True,
    ),
    Mutant(
        "a block's key without its parent",
        [
            (
                INDEX,
                "const uint64_t place[2] = {key.parent, key.extra};",
                "const uint64_t place[2] = {0, key.extra};",
            ),
            (
                INDEX,
                "node.parent == key.parent && ",
                "",
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
        "a block is given back twice",
        [
            (
                LEDGER,
                "    give_back(table.back());\n",
                "    give_back(table.back());\n"
                "    if (table.size() == 1) give_back(table.back());\n",
            ),
        ],
        listed=True,
    ),
    Mutant(
        "the index is stale after an eviction",
        [
            (
                LEDGER,
                "    index_.erase(block);\n",
                "",
            ),
        ],
        listed=True,
    ),
    Mutant(
        "a whole prompt is matched",
        [
            (
                LEDGER,
                "const size_t most = (tokens.size() - 1) / block_tokens();",
                "const size_t most = tokens.size() / block_tokens();",
            ),
        ],
        listed=True,
    ),
    Mutant(
        "grow rounds down",
        [
            (
                LEDGER,
                "const size_t wanted = blocks_for(num_tokens);",
                "const size_t wanted = num_tokens / block_tokens();",
            ),
        ],
        listed=True,
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
                PLAN,
                ".wants_logits = end == sequence.num_tokens()",
                ".wants_logits = end + 1 >= sequence.num_tokens()",
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
        "a table is given back head first",
        [
            (
                LEDGER,
                "    give_back(table.back());\n"
                "    table.pop_back();\n",
                "    give_back(table.front());\n"
                "    table.erase(table.begin());\n",
            ),
        ],
    ),
    Mutant(
        "a matched block gets no reference",
        [
            (
                LEDGER,
                "    pool_.share(*block);\n"
                "    table.push_back(*block);",
                "    table.push_back(*block);",
            ),
        ],
    ),
    Mutant(
        "a block computed twice keeps both copies",
        [
            (
                LEDGER,
                "      give_back(table[index]);\n",
                "",
            ),
        ],
    ),
    Mutant(
        "a partly filled block is remembered",
        [
            (
                LEDGER,
                "const size_t num_full = computed.size() / block_tokens();\n"
                "  size_t index",
                "const size_t num_full = blocks_for(static_cast<uint32_t>(computed.size()));\n"
                "  size_t index",
            ),
        ],
    ),
    Mutant(
        "grow that fails has taken blocks",
        [
            (
                LEDGER,
                "  if (wanted > table.size() + pool_.num_free()) return false;\n"
                "  while (table.size() < wanted) table.push_back(take_block());\n",
                "  while (table.size() < wanted && num_free() > 0) table.push_back(take_block());\n"
                "  if (table.size() < wanted) return false;\n",
            ),
        ],
    ),
    Mutant(
        "extra keys are not compared",
        [
            (
                INDEX,
                "const uint64_t place[2] = {key.parent, key.extra};",
                "const uint64_t place[2] = {key.parent, 0};",
            ),
            (
                INDEX,
                "node.extra == key.extra && ",
                "",
            ),
        ],
    ),
    Mutant(
        "equal hashes are a hit",
        [
            (
                INDEX,
                "nodes_[block].hash == key_hash && equals(block, key)",
                "nodes_[block].hash == key_hash",
            ),
        ],
    ),
    Mutant(
        "a hole in the index cuts off those behind it",
        [
            (
                INDEX,
                "    buckets_[hole] = moved;\n"
                "    nodes_[moved].bucket = hole;\n"
                "    hole = bucket;\n",
                "    (void)moved;\n",
            ),
        ],
    ),
    Mutant(
        "the block used last is taken first",
        [
            (
                POOL,
                "const BlockId block = next_[num_blocks()];",
                "const BlockId block = previous_[num_blocks()];",
            ),
        ],
    ),
    Mutant(
        "a shared block stays on the free list",
        [
            (
                POOL,
                "if (references_[block]++ == 0) unlink(block);",
                "if (references_[block]++ == 0 && next_[num_blocks()] == block) unlink(block);",
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
        "whoever was preempted goes to the end of the queue",
        [
            (
                SCHEDULER,
                "waiting_.splice(waiting_.begin(), running_, sequence.place);",
                "waiting_.splice(waiting_.end(), running_, sequence.place);",
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
                "    waiting_.splice(waiting_.end(), waiting_, sequence.place);\n"
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
                ENGINE,
                "    if (samples[slice].finite) draws.push_back({slice, row});\n"
                "    ++row;\n",
                "    if (samples[slice].finite) draws.push_back({slice, row++});\n",
            ),
        ],
    ),
    Mutant(
        "the draw's position is off by one",
        [
            (
                ENGINE,
                ".position = sequence.num_tokens(), .choice",
                ".position = sequence.num_tokens() - 1, .choice",
            ),
        ],
    ),
    Mutant(
        "the draw forgets the choice",
        [
            (
                ENGINE,
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
                ENGINE,
                "for (uint32_t i = range.begin; i < range.end; ++i) {",
                "for (uint32_t i = range.begin; i + 1 < range.end; ++i) {",
            ),
        ],
    ),
    Mutant(
        "a request refused for a full queue is counted",
        [
            (
                ENGINE,
                "  num_mailed.fetch_sub(1);\n"
                "  num_mailed_tokens.fetch_sub(num_tokens);\n"
                "  num_unfinished.fetch_sub(1);\n",
                "",
            ),
        ],
    ),
    Mutant(
        "draining refuses nobody",
        [
            (
                ENGINE,
                "const bool is_draining = draining.load();",
                "const bool is_draining = false;",
            ),
        ],
    ),
    Mutant(
        "held-back text is lost at the end",
        [
            (
                OUTPUT,
                "  num_held_ = 0;\n"
                "  return ends_turn",
                "  return ends_turn",
            ),
        ],
    ),
    Mutant(
        "a stop string leaks",
        [
            (
                OUTPUT,
                "text_.resize(begin + found->end - found->num_bytes);",
                "text_.resize(begin + found->end);",
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
                "if (detokenizer_ && !ends_turn)",
                "if (detokenizer_)",
            ),
        ],
    ),
    Mutant(
        "one token more than max_tokens",
        [
            (
                OUTPUT,
                "if (!ends_turn && num_tokens_ < max_tokens_)",
                "if (!ends_turn && num_tokens_ <= max_tokens_)",
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
                "state.gathered.text.append(part.text);",
                "state.gathered.text = part.text;",
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
]
