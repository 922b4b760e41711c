"""Mutants of the cache on the disk, and of the traffic between it and memory."""

from mutant import BLOCK_FILE, CHAIN_KEY, DISK_CACHE, ENGINE, LEDGER, TRAFFIC, Mutant

DISK_MUTANTS = [
    Mutant(
        "a disk block of another model is accepted",
        [(BLOCK_FILE, "  expected.checksum = header.checksum;\n",
          "  expected.checksum = header.checksum;\n  expected.model = header.model;\n")],
        listed=True,
    ),
    Mutant(
        "a disk block of another arithmetic is accepted",
        [(BLOCK_FILE, "  expected.checksum = header.checksum;\n",
          "  expected.checksum = header.checksum;\n  expected.arithmetic = header.arithmetic;\n")],
    ),
    Mutant(
        "the salt is left out of the key of a disk block",
        [
            (CHAIN_KEY, ".add_value(name.extra);", ";"),
            (BLOCK_FILE, "  expected.checksum = header.checksum;\n",
             "  expected.checksum = header.checksum;\n  expected.extra = header.extra;\n"),
        ],
        listed=True,
    ),
    Mutant(
        "the parent is left out of the key of a disk block",
        [
            (CHAIN_KEY, ".add_value(name.parent.low).add_value(name.parent.high)", ""),
            (BLOCK_FILE, "  expected.checksum = header.checksum;\n",
             "  expected.checksum = header.checksum;\n  expected.parent = header.parent;\n"),
        ],
    ),
    Mutant(
        "the checksum of a disk block is not compared",
        [(BLOCK_FILE, "  if (checksum(file) != header.checksum) return std::nullopt;\n", "")],
    ),
    Mutant(
        "the tokens of an end are not looked at",
        [
            (CHAIN_KEY, "name.tokens.size() == block_tokens ? name.tokens : name.tokens.first(1)",
             "name.tokens.size() == block_tokens ? name.tokens : name.tokens.first(0)"),
            (BLOCK_FILE, "is_end ? name.tokens.first(1) : name.tokens", "is_end ? name.tokens.first(0) : name.tokens"),
        ],
    ),
    Mutant(
        "an older block pushes a newer one off the disk",
        [(DISK_CACHE, "    if (oldest->first > used_ns) return false;\n", "")],
    ),
    Mutant(
        "a block that is read is not of use",
        [(DISK_CACHE, "      move_entry(slot.key, slot.used_ns);\n", "")],
    ),
    Mutant(
        "a block is written back after clear()",
        [(DISK_CACHE, "    } else if (has_room && written_generation == generation) {\n",
          "    } else if (has_room) {\n"),
         (DISK_CACHE, "  if (written_generation == generation) {\n", "  {\n")],
    ),
    Mutant(
        "what is evicted goes out after it is written over",
        [(ENGINE, "  traffic.follow();  // what that forgot goes to the store, before it is written over\n", "")],
        listed=True,
    ),
    Mutant(
        "what is evicted at the end of a step goes out in the next",
        [(ENGINE, "  traffic.follow();                // what that forgot goes to the store too\n", "")],
    ),
    Mutant(
        "what an arrival writes over does not go out",
        [(TRAFFIC, "  follow();\n  executor_.load_block(", "  executor_.load_block(")],
    ),
    Mutant(
        "a block keeps the name of what it was before",
        [(TRAFFIC, "        names_[change.block] = chain_key(",
          "        if (names_[change.block] == kChainRoot) names_[change.block] = chain_key(")],
    ),
    Mutant(
        "what was evicted goes out behind clear()",
        [(TRAFFIC, "  follow();  // what was evicted before this goes out before the store forgets it\n", ""),
         (TRAFFIC, "  ledger_.forget_all();\n  follow();\n  if (store_ == nullptr) return;\n  store_->clear();\n",
          "  ledger_.forget_all();\n  if (store_ != nullptr) store_->clear();\n  follow();\n"
          "  if (store_ == nullptr) return;\n")],
    ),
    Mutant(
        "clear() leaves the store as it is",
        [(TRAFFIC, "  store_->clear();\n", "")],
    ),
    Mutant(
        "an arrival is put behind what is not its parent",
        [(TRAFFIC, "  if (table_.size() != index) return false;\n", "  table_.resize(index);\n")],
    ),
    Mutant(
        "what a fetch that was given up had asked for is taken for the next one's",
        [(TRAFFIC, "  num_stale_ += num_coming_;\n", "")],
        listed=True,
    ),
    Mutant(
        "clear() forgets that something is still to come",
        [(TRAFFIC, "  num_stale_ += num_coming_;\n", "  num_stale_ = num_coming_;\n")],
    ),
    Mutant(
        "a fetch is never given up",
        [(TRAFFIC, "silent_s > kPatience_s", "silent_s > 1e9")],
    ),
    Mutant(
        "an end is loaded as if it had the prompt's tokens",
        [(TRAFFIC, "    tokens_.resize(begin);  // the last of this fetch\n"
                   "    tokens_.insert(tokens_.end(), found.tokens.begin(), found.tokens.end());\n",
          "    tokens_.resize(begin + found.tokens.size());\n")],
    ),
    Mutant(
        "those that continue a block are saved before it",
        [(LEDGER, "  for (auto block = free.rbegin(); block != free.rend(); ++block) {\n",
          "  for (auto block = free.begin(); block != free.end(); ++block) {\n")],
    ),
    Mutant(
        "nothing is saved at the end",
        [(ENGINE, "  state_->traffic.save_all(state_->options.save_timeout_s);\n", "")],
    ),
    Mutant(
        "the engine sleeps while a block is coming",
        [(ENGINE, "  if (plan.empty() && traffic.is_waiting()) return traffic.wait(), true;\n", "")],
    ),
]
