"""Options of benchmarks."""

from __future__ import annotations

import argparse
import sys
from typing import Any


def parse(parser: argparse.ArgumentParser, **small: Any) -> argparse.Namespace:
    """Parse the command line; with ``--quick``, these sizes are the defaults."""
    text = "small sizes, which show no more than that the benchmark works"
    parser.add_argument("--quick", action="store_true", help=text)
    if "--quick" in sys.argv:
        parser.set_defaults(**small)
    return parser.parse_args()
