"""Mutants of the keys of pictures and videos, and of where they stand."""

from mutant import KEYS, MEDIA_KEY, Mutant

MEDIA_MUTANTS = [
    Mutant(
        "a medium's key without its kind",
        [
            (
                MEDIA_KEY,
                "explicit KindHash(Kind kind) { hash_.add_value(kind); }",
                "explicit KindHash(Kind) {}",
            ),
        ],
    ),
    Mutant(
        "a video is of the kind of pictures",
        [
            (
                MEDIA_KEY,
                "KindHash(Kind::kVideo)",
                "KindHash(Kind::kImage)",
            ),
        ],
    ),
    Mutant(
        "a video's key without its fps",
        [
            (
                MEDIA_KEY,
                ".value(video.fps)",
                "",
            ),
        ],
    ),
    Mutant(
        "a video's key without its max_frames",
        [
            (
                MEDIA_KEY,
                ".value(video.max_frames)",
                "",
            ),
        ],
    ),
    Mutant(
        "a picture's key without its size",
        [
            (
                MEDIA_KEY,
                ".value(image.width).value(image.height)",
                "",
            ),
        ],
    ),
    Mutant(
        "a picture's key without its preprocessing",
        [
            (
                MEDIA_KEY,
                "return field(std::as_bytes(std::span(image.preprocessing)));",
                "return *this;",
            ),
        ],
    ),
    Mutant(
        "a medium's field without its length",
        [
            (
                MEDIA_KEY,
                "    hash_.add_value(static_cast<uint32_t>(bytes.size()));\n",
                "",
            ),
        ],
    ),
    Mutant(
        "an adapter's key without the salt",
        [
            (
                MEDIA_KEY,
                "KindHash(Kind::kAdapter).value(base)",
                "KindHash(Kind::kAdapter)",
            ),
        ],
    ),
    Mutant(
        "where a range begins is left out of its block's key",
        [
            (
                KEYS,
                "uint64_t{range->begin} - begin,",
                "0,",
            ),
        ],
    ),
    Mutant(
        "where a range ends is left out of its block's key",
        [
            (
                KEYS,
                "uint64_t{range->end} - begin,",
                "0,",
            ),
        ],
    ),
    Mutant(
        "of two ranges in a block the last one counts",
        [
            (
                KEYS,
                "{key.low,          key.high,  ",
                "{keys.base.low,          keys.base.high,  ",
            ),
        ],
    ),
]
