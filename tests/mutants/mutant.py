"""What a mutant is, and the files they are of.

A mutant is a name, why it matters, and edits (file, what stands there exactly once, what stands there instead).
`listed`: one of those that every version of this engine must catch. `note`: why it looks as it does in this engine.
"""

from dataclasses import dataclass

LEDGER = "src/cache/kv_ledger.cc"
LEDGER_H = "src/cache/kv_ledger.h"
INDEX = "src/cache/prefix_index.cc"
POOL = "src/cache/block_pool.cc"
ORDER = "src/cache/sibling_order.cc"
KEYS = "src/cache/sequence_keys.cc"
MEDIA_KEY = "src/cache/media_key.cc"
FORGOTTEN = "src/cache/forgotten_blocks.cc"
REPORT = "src/server/cache_report.cc"
REQUEST_KEY = "src/server/cache_key.cc"
CHAIN_KEY = "src/disk/chain_key.cc"
BLOCK_FILE = "src/disk/block_file.cc"
DISK_CACHE = "src/disk/disk_cache.cc"
DIGEST = "src/model/model_digest.cc"
SCHEDULER = "src/engine/scheduler.cc"
PLAN = "src/engine/step_plan.cc"
TRAFFIC = "src/engine/block_traffic.cc"
ENGINE = "src/engine/engine.cc"
SAMPLER = "src/engine/row_sampler.cc"
OUTPUT = "src/engine/output.cc"
LOOKUP = "src/engine/prompt_lookup.cc"
DRAFTS = "src/engine/draft_budget.cc"
STREAM = "src/engine/text_stream.cc"
STOP = "src/engine/stop_matcher.cc"
WAKE = "src/engine/wake_list.h"
QUEUE = "src/engine/waiting_queue.cc"
QUEUE_H = "src/engine/waiting_queue.h"
BOUNDS = "src/engine/queue_bounds.cc"


@dataclass
class Mutant:
    name: str
    edits: list
    listed: bool = False
    note: str = ""
