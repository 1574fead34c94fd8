"""Random numbers of processes that are forked from one parent.

A forked process inherits the state of every random generator, so that all
workers would draw the same numbers: the global ones of `random`,
`numpy.random` and PyTorch, and those that a task file made when it was
imported, wherever it keeps them.
"""

from __future__ import annotations

import gc
import random
import sys
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RandomStates:
    """The random generators that existed before a fork.

    Attributes
    ----------
    generators : tuple of random.Random
        From the standard library.
    bit_generators : tuple of numpy.random.BitGenerator
        The sources behind NumPy's generators.
    """

    generators: tuple[random.Random, ...]
    bit_generators: tuple[Any, ...]

    @classmethod
    def find(cls) -> RandomStates:
        """Find all random generators of this process."""
        objects = gc.get_objects()
        sources: dict[int, Any] = {}
        if "numpy.random" in sys.modules:
            from numpy import random as numpy_random

            kinds = (numpy_random.Generator, numpy_random.RandomState)
            found = _instances(objects, (numpy_random.BitGenerator,))
            found += map(_bit_generator, _instances(objects, kinds))
            sources = {id(source): source for source in found}
        own = _instances(objects, (random.Random,))
        return cls(tuple(own), tuple(sources.values()))

    def renew(self) -> None:
        """Give each generator a state of its own from the system's entropy."""
        random.seed()
        for generator in self.generators:
            generator.seed()
        for source in self.bit_generators:
            source.state = type(source)().state
        if "numpy.random" in sys.modules:
            from numpy import random as numpy_random

            numpy_random.seed()
        torch = sys.modules.get("torch")
        if torch is not None and hasattr(torch, "seed"):
            torch.seed()


def _instances(objects: list[Any], kinds: tuple[type, ...]) -> list[Any]:
    # isinstance() would ask proxies for the class of what they stand for, which
    # may be gone.
    return [thing for thing in objects if issubclass(type(thing), kinds)]


def _bit_generator(generator: Any) -> Any:
    if hasattr(generator, "bit_generator"):
        return generator.bit_generator
    return generator._bit_generator
