"""Random numbers of processes that are forked from one parent.

A forked process inherits the state of every random generator, so that all
workers would draw the same numbers: the global ones of `random`,
`numpy.random` and PyTorch, and those that a task file made when it was
imported, wherever it keeps them. It inherits seed sequences too, so that all
workers would spawn the same generators from one of them.
"""

from __future__ import annotations

import gc
import random
import secrets
import sys
from dataclasses import dataclass
from typing import Any

from psyrun.utils.process.basics import instances


@dataclass(frozen=True)
class RandomStates:
    """The random generators that existed before a fork.

    Besides those of the standard library: the bit generators behind NumPy's
    generators, and the seed sequences that these spawn others from.
    """

    generators: tuple[random.Random, ...]
    bit_generators: tuple[Any, ...]
    seed_sequences: tuple[Any, ...]

    @classmethod
    def find(cls) -> RandomStates:
        """Find all random generators of this process."""
        kinds: tuple[type, ...] = (random.Random,)
        if "numpy.random" in sys.modules:
            from numpy import random as numpy_random

            of_numpy = (numpy_random.Generator, numpy_random.RandomState)
            sources_of_numpy = (numpy_random.BitGenerator, numpy_random.SeedSequence)
            kinds += (*of_numpy, *sources_of_numpy)
        # There are many others, so they are looked through once.
        objects = instances(gc.get_objects(), kinds)
        sources: dict[int, Any] = {}
        sequences: dict[int, Any] = {}
        if "numpy.random" in sys.modules:
            found = instances(objects, (numpy_random.BitGenerator,))
            found += map(_bit_generator, instances(objects, of_numpy))
            sources = {id(source): source for source in found}
            seeds = [source.seed_seq for source in sources.values()] + objects
            kept = instances(seeds, (numpy_random.SeedSequence,))
            sequences = {id(sequence): sequence for sequence in kept}
        own = instances(objects, (random.Random,))
        return cls(tuple(own), tuple(sources.values()), tuple(sequences.values()))

    def without(self, others: RandomStates) -> RandomStates:
        """Return those that are not among others, such as those of before."""
        return RandomStates(
            _without(self.generators, others.generators),
            _without(self.bit_generators, others.bit_generators),
            _without(self.seed_sequences, others.seed_sequences),
        )

    def renew(self) -> None:
        """Give each generator a state of its own from the system's entropy."""
        random.seed()
        for generator in self.generators:
            generator.seed()
        for source in self.bit_generators:
            source.state = type(source)().state
        for sequence in self.seed_sequences:
            _renew_children(sequence)
        if "numpy.random" in sys.modules:
            from numpy import random as numpy_random

            numpy_random.seed()
        torch = sys.modules.get("torch")
        if torch is not None and hasattr(torch, "seed"):
            torch.seed()


def _renew_children(sequence: Any) -> None:
    """Let a seed sequence spawn children that no other process has.

    The numbers that it seeds a generator with stay the same, as ``seeds[i]`` is
    there to be used in any worker.
    """
    from numpy.random import SeedSequence

    pool = sequence.pool.copy()
    # Attributes of this class are read-only. Its `__init__` may be called again.
    SeedSequence.__init__(
        sequence,
        sequence.entropy,
        spawn_key=(*sequence.spawn_key, secrets.randbits(128)),
        pool_size=sequence.pool_size,
    )
    sequence.pool[:] = pool


def _without(things: tuple[Any, ...], others: tuple[Any, ...]) -> tuple[Any, ...]:
    known = set(map(id, others))
    return tuple(thing for thing in things if id(thing) not in known)


def _bit_generator(generator: Any) -> Any:
    if hasattr(generator, "bit_generator"):
        return generator.bit_generator
    return generator._bit_generator
