"""Words for messages."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """A number with its noun: `1 row`, `2 batches`, `3 deliveries`."""
    if number != 1:
        if noun.endswith("ery"):
            noun = f"{noun.removesuffix('y')}ie"
        noun += "es" if noun.endswith("ch") else "s"
    return f"{number:,} {noun}"
