"""The orders in which assignments are evaluated, by their names."""

from __future__ import annotations

SPACE = "space"
EVEN = "even"
RANDOM = "random"
ORDERS = (SPACE, EVEN, RANDOM)
