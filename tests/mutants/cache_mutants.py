"""Mutants of KV blocks and the index of what they hold."""

from mutant import INDEX, LEDGER, POOL, Mutant

CACHE_MUTANTS = [
    Mutant(
        "a block's key without its parent",
        [
            (
                INDEX,
                "const uint64_t place[3] = {key.parent, key.extra.low, key.extra.high};",
                "const uint64_t place[3] = {0, key.extra.low, key.extra.high};",
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
                "const uint64_t place[3] = {key.parent, key.extra.low, key.extra.high};",
                "const uint64_t place[3] = {key.parent, 0, 0};",
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
]
