"""What operations on a space of 10¹² points take, in time and memory.

Prints for each its best of five times, in milliseconds, and the most memory that it
holds, in MB. The aim is under 100 ms and 50 MB.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from psyrun import Param

_N_TIMES = 5
TRILLION = Param(a=range(10**6)) * Param(b=range(10**6))
OPERATIONS: dict[str, Callable[[], Any]] = {
    "sample(1000)": lambda: TRILLION.sample(1000).build(),
    "shuffle()[5]": lambda: TRILLION.shuffle()[5],
    "where(lambda a: a % 3 > 0)": lambda: TRILLION.where(lambda a: a % 3 > 0),
    "where(lambda a: a in {1, 2})": lambda: TRILLION.where(lambda a: a in {1, 2}),
    "derive(k=…)[10**11]": lambda: TRILLION.derive(k=lambda a, b: a + b)[10**11],
    "[::10**6]": lambda: TRILLION[:: 10**6][5],
    "repeat(10)[10**11]": lambda: TRILLION.repeat(10)[10**11],
}


def measured(operation: Callable[[], Any]) -> tuple[float, float]:
    """Return the best time in ms, and the peak of memory in MB."""
    times = []
    for _ in range(_N_TIMES):
        start = time.perf_counter()
        operation()
        times.append(time.perf_counter() - start)
    tracemalloc.start()
    operation()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return 1e3 * min(times), peak / 1e6


def main() -> None:
    """Print a line for each operation."""
    print(f"{'of 10¹² points':32} {'ms':>9} {'MB':>7}")
    for name, operation in OPERATIONS.items():
        milliseconds, megabytes = measured(operation)
        print(f"{name:32} {milliseconds:9.3f} {megabytes:7.2f}")


if __name__ == "__main__":
    main()
