"""Mutants of the number that tells models apart."""

from mutant import DIGEST, Mutant

MODEL_MUTANTS = [
    Mutant(
        "a config field left out of the digest",
        [(DIGEST, "rope_theta, rope_scaling, rope_divisors, tied_embeddings);", "rope_theta, rope_divisors);")],
    ),
    Mutant(
        "an absent setting is a zero in the digest",
        [(DIGEST, "add(value.has_value(), value.value_or(Value{}));", "add(value.value_or(Value{}));")],
    ),
    Mutant(
        "weights left out of the digest",
        [(DIGEST, ".first(packed_bytes), pool));", ".first(packed_bytes / 2), pool));")],
    ),
    Mutant(
        "the digest knows the weights' bytes and not what they are",
        [(DIGEST, "  fields.add(embedding, lm_head, final_norm, layers, packed_bytes);\n", "")],
    ),
    Mutant(
        "addresses in the digest",
        [(DIGEST, "static_cast<uint64_t>(static_cast<const std::byte*>(place) - memory_)",
          "reinterpret_cast<uint64_t>(place)")],
    ),
    Mutant(
        "the kind of activations left out of the digest",
        [(DIGEST, "fields.add(kArithmeticVersion, activations, config);", "fields.add(kArithmeticVersion, config);")],
    ),
]
