"""Options of benchmarks."""

from __future__ import annotations

import argparse
import os
from typing import Any


def parse(parser: argparse.ArgumentParser, **small: Any) -> argparse.Namespace:
    """Parse the command line; with ``QUICK=1``, as in CI, these are the defaults.

    Such small sizes show no more than that the benchmark works.
    """
    if os.environ.get("QUICK"):
        parser.set_defaults(**small)
    return parser.parse_args()
