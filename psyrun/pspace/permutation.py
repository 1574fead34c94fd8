"""Permutations of any number of places, each place in constant time and memory.

The permutation is a generalized Feistel network on ``a * b >= n`` places, with
``a`` and ``b`` near the square root of ``n``, that is walked until the place is below
``n`` (Black and Rogaway, Ciphers with arbitrary finite domains, CT-RSA 2002, methods 2
and 3). With ``x = a * right + left``, its rounds are in turns

    left = (left + f_j(right)) mod a        right = (right + f_j(left)) mod b

where ``f_j`` mixes its argument with the key of the round as SplitMix64 does (Steele,
Lea and Flood, Fast splittable pseudorandom number generators, OOPSLA 2014). Of few
places, the order is that of their mixed numbers.

All is integer arithmetic modulo 2**64 that is written out here: a permutation is the
same on each machine, and with each version of Python and NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from hashlib import blake2b
from math import isqrt
from typing import Any

import numpy as np

from psyrun.pspace.columns import Indices

_FEW = 2**16  # places that are listed
_ROUNDS = 8
_MASK = 2**64 - 1
_GOLDEN = 0x9E3779B97F4A7C15  # 2**64 / golden ratio, odd


def keys_of(text: str, n_keys: int) -> list[int]:
    """Return some keys of 64 bits that depend on a text; at most eight."""
    digest = blake2b(text.encode(), digest_size=8 * n_keys).digest()
    return [int.from_bytes(digest[8 * i : 8 * i + 8], "little") for i in range(n_keys)]


def mixed(number: Any, key: int) -> Any:
    """Return 64 bits that depend on each bit of a number and of a key.

    The number is an `int` or an array of uint64, which wrap.
    """
    x = (number * _GOLDEN + key) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)


class Permutation:
    """An order of `size` places that looks random, and depends on a text only."""

    def __init__(self, size: int, text: str) -> None:
        self._size, self._text = size, text
        self._keys = keys_of(text, _ROUNDS)
        self._a = isqrt(max(size - 1, 0)) + 1
        self._b = -(-size // self._a)

    def __reduce__(self) -> tuple[Any, ...]:
        return Permutation, (self._size, self._text)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, place: int) -> int:
        if self._size <= _FEW:
            return int(self._listed[place])
        return self._walked(place, self._forth)

    def take(self, places: Indices) -> Indices:
        """Return what stands at places."""
        if self._size <= _FEW:
            return self._listed[places]
        return self._all_walked(places, self._forth)

    def places(self, numbers: Indices) -> Indices:
        """Return where numbers from 0 to ``size - 1`` stand."""
        if self._size <= _FEW:
            return self._inverse[numbers]
        return self._all_walked(numbers, self._back)

    @cached_property
    def _listed(self) -> Indices:
        numbers = mixed(np.arange(self._size, dtype=np.uint64), self._keys[0])
        return np.argsort(numbers, kind="stable")

    @cached_property
    def _inverse(self) -> Indices:
        return np.argsort(self._listed)

    def _forth(self, x: Any) -> Any:
        right, left = x // self._a, x % self._a
        for i, key in enumerate(self._keys):
            if i % 2:
                right = (right + mixed(left, key) % self._b) % self._b
            else:
                left = (left + mixed(right, key) % self._a) % self._a
        return right * self._a + left

    def _back(self, x: Any) -> Any:
        right, left = x // self._a, x % self._a
        for i, key in reversed([*enumerate(self._keys)]):
            if i % 2:
                right = (right + (self._b - mixed(left, key) % self._b)) % self._b
            else:
                left = (left + (self._a - mixed(right, key) % self._a)) % self._a
        return right * self._a + left

    def _walked(self, x: int, step: Callable[[int], int]) -> int:
        x = step(x)
        while x >= self._size:
            x = step(x)
        return x

    def _all_walked(self, places: Indices, step: Callable[[Any], Any]) -> Indices:
        x = step(places.astype(np.uint64))
        while len(outside := np.flatnonzero(x >= self._size)):
            x[outside] = step(x[outside])
        walked: Indices = x.astype(np.int64)
        return walked
