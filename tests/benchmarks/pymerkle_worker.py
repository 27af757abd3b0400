"""Runs in the environment of pymerkle, which is GPL and never comes near the program: fills its SQLite tree, times its proofs.

    python pymerkle_worker.py FOLDER SIZE...

Prints JSON: for each size that it reaches within ``LIMIT_S``, the seconds of each proof.
"""

import json
import random
import sys
import time
from pathlib import Path

from pymerkle import SqliteTree

LIMIT_S = 120.0
LEAF_BYTES = 450
PROOFS = 200
PROVING_S = 90.0
"""At a million entries it takes seconds for each."""


def main(folder: Path, sizes: list[int]) -> dict[int, list[float]]:
    taken: dict[int, list[float]] = {}
    began = time.perf_counter()
    tree = SqliteTree(str(folder / "pymerkle.db"))
    filled = 0
    for size in sizes:
        while filled < size and time.perf_counter() - began < LIMIT_S:
            count = min(10_000, size - filled)
            tree.append_entries(
                b"%016d" % number + b"x" * (LEAF_BYTES - 16) for number in range(filled, filled + count)
            )
            filled += count
        if filled < size:
            break
        taken[size] = _prove(tree, size)
    return taken


def _prove(tree: SqliteTree, size: int) -> list[float]:
    chosen = random.Random(1)
    samples: list[float] = []
    began = time.perf_counter()
    while len(samples) < PROOFS and time.perf_counter() - began < PROVING_S:
        index = chosen.randrange(size) + 1  # it counts from one
        start = time.perf_counter()
        tree.prove_inclusion(index, size)
        samples.append(time.perf_counter() - start)
    return samples


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), [int(size) for size in sys.argv[2:]])))
