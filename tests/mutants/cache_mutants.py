"""Mutants of KV blocks and the index of what they hold."""

from mutant import INDEX, KEYS, LEDGER, ORDER, POOL, REQUEST_KEY, Mutant

CACHE_MUTANTS = [
    Mutant(
        "a block's key without its parent",
        [
            (
                INDEX,
                "content_hash(key.parent, key.extra,",
                "content_hash(0, key.extra,",
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
                "    table.pop_back();\n"
                "    give_back(block);\n",
                "    table.pop_back();\n"
                "    give_back(block);\n"
                "    if (table.empty()) give_back(block);\n",
            ),
        ],
        listed=True,
    ),
    Mutant(
        "the index is stale after an eviction",
        [
            (
                LEDGER,
                "  if (index_.contains(block)) evict(block);\n"
                "  return block;",
                "  return block;",
            ),
        ],
        listed=True,
    ),
    Mutant(
        "a whole prompt is matched",
        [
            (
                LEDGER,
                "const std::span<const TokenId> wanted = tokens.first(tokens.size() - 1);",
                "const std::span<const TokenId> wanted = tokens;",
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
                "    const BlockId block = table.back();\n"
                "    table.pop_back();\n",
                "    const BlockId block = table.front();\n"
                "    table.erase(table.begin());\n",
            ),
        ],
    ),
    Mutant(
        "a matched block gets no reference",
        [
            (
                LEDGER,
                "    share(*block);\n"
                "    pool_.hit(*block);\n"
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
                "content_hash(key.parent, key.extra,",
                "content_hash(key.parent, ExtraKey{},",
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
                "rings_.push_back(number(ring_[block]), block);",
                "rings_.push_front(number(ring_[block]), block);",
            ),
        ],
    ),
    Mutant(
        "a shared block stays on the free list",
        [
            (
                POOL,
                "if (references_[block]++ == 0) remove(block);",
                "if (references_[block]++ == 0 && ring_[block] != Ring::kAgain) remove(block);",
            ),
        ],
    ),
    Mutant(
        "the count of a tail is off by one",
        [
            (
                LEDGER,
                "remember_tail(key_of_block(computed, keys, table, num_full), table[num_full]);",
                "PrefixKey key = key_of_block(computed, keys, table, num_full);\n"
                "    if (key.tokens.size() > 1) key.tokens = key.tokens.first(key.tokens.size() - 1);\n"
                "    remember_tail(key, table[num_full]);",
            ),
        ],
        listed=True,
    ),
    Mutant(
        "a tail is remembered with a token that is not computed",
        [
            (
                LEDGER,
                "match.num_common = alike->num_common;",
                "match.num_common = std::min(alike->num_common + 1, static_cast<uint32_t>(rest.tokens.size()));",
            ),
        ],
        listed=True,
    ),
    Mutant(
        "the salt is left out of a block's key",
        [
            (
                LEDGER,
                "extra_key_of_block(keys, begin, block_tokens())};",
                "ExtraKey()};",
            ),
        ],
        listed=True,
    ),
    Mutant(
        "the upper half of an extra key is not compared",
        [
            (
                INDEX,
                "node.extra == key.extra && ",
                "node.extra.low == key.extra.low && ",
            ),
            (
                INDEX,
                "content_hash(key.parent, key.extra,",
                "content_hash(key.parent, ExtraKey{key.extra.low, 0},",
            ),
        ],
    ),
    Mutant(
        "a beginning is copied across extra keys",
        [
            (
                INDEX,
                "if (key.extra != extra) return",
                "if (false) return",
            ),
        ],
    ),
    Mutant(
        "a picture's place is left out of its block's key",
        [
            (
                KEYS,
                "uint64_t{range->begin} - begin,",
                "0,",
            ),
            (
                KEYS,
                "uint64_t{range->end} - begin,",
                "0,",
            ),
        ],
    ),
    Mutant(
        "a picture that began in an earlier block is not of this one",
        [
            (
                KEYS,
                "return range.end <= begin;",
                "return range.begin < begin;",
            ),
        ],
    ),
    Mutant(
        "of siblings, one with less in common is copied",
        [
            (
                INDEX,
                "if (num_common > best.num_common) best",
                "if (best.num_common == 0) best",
            ),
        ],
    ),
    Mutant(
        "the order of siblings is lost in a rotation",
        [
            (
                ORDER,
                "  if (inner != kRoot) links_[inner].up = up;\n",
                "",
            ),
        ],
    ),
    Mutant(
        "a node that leaves takes the wrong one of its children up",
        [
            (
                ORDER,
                "rotate_up(top, goes_left ? left : right);",
                "rotate_up(top, left != kRoot ? left : right);",
            ),
        ],
    ),
    Mutant(
        "the rings are taken in another order",
        [
            (
                POOL,
                "for (const Ring ring : {Ring::kBlank, Ring::kOnce, Ring::kAgain}) {\n"
                "    const auto block",
                "for (const Ring ring : {Ring::kBlank, Ring::kAgain, Ring::kOnce}) {\n"
                "    const auto block",
            ),
        ],
    ),
    Mutant(
        "what is used again has no bound",
        [
            (
                POOL,
                "++num_again_ <= max_again_",
                "++num_again_ <= num_blocks()",
            ),
        ],
    ),
    Mutant(
        "the oldest of what was used again is the next to go",
        [
            (
                POOL,
                "rings_.push_back(number(Ring::kOnce), oldest);",
                "rings_.push_front(number(Ring::kOnce), oldest);",
            ),
        ],
    ),
    Mutant(
        "a hit is not noted",
        [
            (
                POOL,
                "  ring_[block] = Ring::kAgain;\n",
                "",
            ),
        ],
    ),
    Mutant(
        "a block that is taken keeps its past",
        [
            (
                POOL,
                "    ring_[*block] = Ring::kOnce;\n",
                "    if (ring_[*block] == Ring::kBlank) ring_[*block] = Ring::kOnce;\n",
            ),
        ],
    ),
    Mutant(
        "a few common words are a hit of whoever had them",
        [
            (
                LEDGER,
                "  if (match.is_hit) {\n"
                "    pool_.hit(source);\n",
                "  pool_.hit(source);\n"
                "  if (match.is_hit) {\n",
            ),
        ],
    ),
    Mutant(
        "a tail that is used is not a hit",
        [
            (
                LEDGER,
                "    pool_.hit(source);\n",
                "",
            ),
        ],
    ),
    Mutant(
        "a shorter tail stays beside the longer one",
        [
            (
                LEDGER,
                "alike && alike->num_common == index_.num_tokens(alike->block)",
                "false",
            ),
        ],
    ),
    Mutant(
        "a tail that others begin with is remembered",
        [
            (
                LEDGER,
                "if (!alike || alike->num_common < key.tokens.size()) return insert(key, block);",
                "return insert(key, block);",
            ),
        ],
    ),
    Mutant(
        "a leaf that is used goes as if it were not",
        [
            (
                LEDGER,
                "  idle_leaves_.remove(block);\n"
                "  idle_leaves_.push_back(0, block);\n",
                "  idle_leaves_.remove(block);\n"
                "  idle_leaves_.push_front(0, block);\n",
            ),
        ],
    ),
    Mutant(
        "there may be one entry too many",
        [
            (
                LEDGER,
                "index_.num_leaves() > *options_.max_entries",
                "index_.num_leaves() > *options_.max_entries + 1",
            ),
        ],
    ),
    Mutant(
        "beyond the limit only the leaf is forgotten",
        [
            (
                LEDGER,
                "    idle_leaves_.push_front(0, parent);\n",
                "    idle_leaves_.push_back(0, parent);\n",
            ),
        ],
    ),
    Mutant(
        "what is cleared leaves the parents",
        [
            (
                LEDGER,
                "void KvLedger::forget_all() {\n"
                "  while (",
                "void KvLedger::forget_all() {\n"
                "  if (",
            ),
        ],
    ),
    Mutant(
        "leaves are counted as nodes",
        [
            (
                INDEX,
                "if (!parent_was_leaf) ++num_leaves_;",
                "++num_leaves_;",
            ),
        ],
    ),
    Mutant(
        "what branches off from what all have is kept with it",
        [
            (
                LEDGER,
                "key.parent != kRoot && index_.num_children(key.parent) == 0;",
                "key.parent != kRoot;",
            ),
        ],
    ),
    Mutant(
        "the last turn of a conversation is not kept with those before",
        [
            (
                LEDGER,
                "  if (goes_on && pool_.ring(key.parent) == BlockPool::Ring::kAgain) pool_.hit(block);\n",
                "  (void)goes_on;\n",
            ),
        ],
    ),
    Mutant(
        "a one-off prompt is kept as if it were a conversation",
        [
            (
                LEDGER,
                "if (goes_on && pool_.ring(key.parent) == BlockPool::Ring::kAgain) pool_",
                "if (goes_on) pool_",
            ),
        ],
    ),
    Mutant(
        "a request's key without its salt",
        [
            (
                REQUEST_KEY,
                "salt ? Kind::kSalt : Kind::kNoSalt, salt.value_or(\"\"));",
                "Kind::kNoSalt, \"\");",
            ),
        ],
        listed=True,
    ),
    Mutant(
        "a request's key without its API key",
        [
            (
                REQUEST_KEY,
                "clients_.push_back(mac(secret, Kind::kApiKey, key));",
                "clients_.push_back(mac(secret, Kind::kApiKey, std::string_view(key).substr(0, 0)));",
            ),
        ],
        listed=True,
    ),
    Mutant(
        "no salt is the empty salt",
        [
            (
                REQUEST_KEY,
                "salt ? Kind::kSalt : Kind::kNoSalt",
                "Kind::kSalt",
            ),
        ],
    ),
    Mutant(
        "a request's key without the secret",
        [
            (
                REQUEST_KEY,
                "  std::memcpy(inner.data(), secret.data(), secret.size());\n"
                "  std::memcpy(outer.data(), secret.data(), secret.size());\n",
                "",
            ),
        ],
    ),
]
