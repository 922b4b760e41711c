"""Mutants of who waits, who is next, and how many may wait."""

from mutant import BOUNDS, ENGINE, QUEUE, QUEUE_H, Mutant

QUEUE_MUTANTS = [
    Mutant(
        "whoever was sent back waits behind the others who were",
        [
            (
                QUEUE,
                "sent_back_.splice(sent_back_.begin(), from, sequence.place);",
                "sent_back_.splice(sent_back_.end(), from, sequence.place);",
            ),
        ],
    ),
    Mutant(
        "whoever was sent back waits in its line again",
        [
            (
                QUEUE,
                "if (!sent_back_.empty()) return &sent_back_.front();\n"
                "  if (!called_.empty()) return &called_.front();\n"
                "  if (round_.empty()) return nullptr;",
                "if (!called_.empty()) return &called_.front();\n"
                "  if (round_.empty()) return sent_back_.empty() ? nullptr : &sent_back_.front();",
            ),
            (
                QUEUE,
                "if (!sent_back_.empty()) return to.splice(",
                "if (sequence.num_cached) return to.splice(",
            ),
        ],
    ),
    Mutant(
        "a line does not pay for what is admitted",
        [
            (
                QUEUE,
                "  line->deficit -= cost(sequence);\n",
                "",
            ),
        ],
    ),
    Mutant(
        "the round does not move on",
        [
            (
                QUEUE,
                "    round_.splice(round_.end(), round_, round_.begin());\n",
                "",
            ),
        ],
    ),
    Mutant(
        "a line that becomes empty keeps its credit",
        [
            (
                QUEUE,
                "  line->deficit = 0;\n",
                "",
            ),
        ],
    ),
    Mutant(
        "a line gets no credit until its head can pay",
        [
            (
                QUEUE,
                "    if (!turn_began_) line.deficit += options_.quantum_tokens;",
                "    if (!turn_began_) line.deficit = options_.quantum_tokens;",
            ),
        ],
    ),
    Mutant(
        "a request that leaves the middle of a line ends its turns",
        [
            (
                QUEUE,
                "  if (!line->waiting.empty()) return;\n"
                "  line->deficit",
                "  line->deficit",
            ),
        ],
    ),
    Mutant(
        "a request refused for a full queue is counted",
        [
            (
                BOUNDS,
                "  leave(client, num_tokens);\n"
                "  const std::string all",
                "  const std::string all",
            ),
        ],
    ),
    Mutant(
        "one client may fill the queue",
        [
            (
                BOUNDS,
                "const bool share_full = !full &&",
                "const bool share_full = false &&",
            ),
        ],
    ),
    Mutant(
        "a request cancelled while it waits stays counted",
        [
            (
                ENGINE,
                "      leave_queue(*sequence);\n"
                "      leave(*sequence);\n"
                "      scheduler.cancel(*sequence);\n",
                "      leave(*sequence);\n"
                "      scheduler.cancel(*sequence);\n",
            ),
        ],
    ),
    Mutant(
        "those passed over come behind others who were called",
        [
            (
                QUEUE_H,
                "called_.splice(called_.begin(), passed_);",
                "called_.splice(called_.end(), passed_);",
            ),
        ],
    ),
    Mutant(
        "whoever was called waits in its line again",
        [
            (
                QUEUE,
                "  if (!called_.empty()) return &called_.front();\n",
                "",
            ),
        ],
    ),
    Mutant(
        "whoever was passed over stays counted in its line",
        [
            (
                QUEUE,
                "    list->erase(sequence.place);\n"
                "    return;\n",
                "    list->erase(sequence.place);\n",
            ),
        ],
    ),
]
