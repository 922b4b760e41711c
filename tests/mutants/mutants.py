"""The bugs that run.py puts in, one at a time (mutant.py says what they are made of)."""

from cache_mutants import CACHE_MUTANTS
from disk_mutants import DISK_MUTANTS
from draft_mutants import DRAFT_MUTANTS
from engine_mutants import ENGINE_MUTANTS
from media_mutants import MEDIA_MUTANTS
from model_mutants import MODEL_MUTANTS
from queue_mutants import QUEUE_MUTANTS
from reason_mutants import REASON_MUTANTS
from text_mutants import TEXT_MUTANTS

MUTANTS = [*CACHE_MUTANTS, *DISK_MUTANTS, *DRAFT_MUTANTS, *ENGINE_MUTANTS, *MEDIA_MUTANTS, *MODEL_MUTANTS,
           *QUEUE_MUTANTS, *REASON_MUTANTS, *TEXT_MUTANTS]
