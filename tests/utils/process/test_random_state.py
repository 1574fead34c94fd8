"""Forked processes that draw numbers of their own."""

import os
import pickle
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from psyrun.utils.process.random_state import RandomStates

own = random.Random(1)
system = random.SystemRandom()
generator = np.random.default_rng(1)
legacy = np.random.RandomState(1)
source = np.random.PCG64(1)
seeds = np.random.SeedSequence(1)
held: dict[str, Any] = {"deep": [np.random.Generator(np.random.Philox(1))]}


def drawn_from(seed: Any) -> float:
    """Return what a new generator draws."""
    return float(np.random.default_rng(seed).random())


DRAWS: dict[str, Callable[[], float]] = {
    "random": random.random,
    "random.Random": own.random,
    "random.SystemRandom": system.random,
    "numpy.random": lambda: float(np.random.random()),
    "numpy.random.default_rng": lambda: float(generator.random()),
    "numpy.random.RandomState": lambda: float(legacy.random()),
    "numpy.random.Generator.spawn": lambda: float(generator.spawn(1)[0].random()),
    "numpy.random.BitGenerator.spawn": lambda: drawn_from(source.spawn(1)[0]),
    "numpy.random.SeedSequence.spawn": lambda: drawn_from(seeds.spawn(1)[0]),
    "a generator in a dictionary": lambda: float(held["deep"][0].random()),
}


def in_fork(states: RandomStates, draw: Callable[[], float]) -> float:
    """Return what a forked process draws."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        states.renew()
        os.write(write_end, pickle.dumps(draw()))
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        drawn = float(pickle.load(pipe))
    os.waitpid(pid, 0)
    return drawn


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS.keys())
def test_forked_processes_draw_different_numbers(draw: Callable[[], float]) -> None:
    states = RandomStates.find()
    assert len({in_fork(states, draw) for _ in range(4)}) == 4


def test_a_source_of_bits_without_a_generator_is_renewed() -> None:
    states = RandomStates.find()

    def draw() -> float:
        return float(np.random.Generator(source).random())

    assert len({in_fork(states, draw) for _ in range(4)}) == 4


def test_a_seed_sequence_seeds_generators_as_before() -> None:
    seed = np.random.SeedSequence(3, spawn_key=(5,), pool_size=8)
    before = drawn_from(seed)
    RandomStates.find().renew()
    assert drawn_from(seed) == before


def test_children_of_a_renewed_seed_sequence_differ() -> None:
    seed = np.random.SeedSequence(3, pool_size=8)
    former = seed.spawn(2)
    RandomStates.find().renew()
    children = [*former, *seed.spawn(2), *seed.spawn(1)]
    assert len({drawn_from(child) for child in children}) == len(children)
    assert children[-1].pool_size == 8


def test_generators_made_later_are_left_alone() -> None:
    states = RandomStates.find()
    later = np.random.default_rng(7)
    states.renew()
    assert later.random() == np.random.default_rng(7).random()


def test_those_that_were_there_before_can_be_left_alone() -> None:
    former, seed = np.random.default_rng(7), np.random.SeedSequence(7)
    before = RandomStates.find()
    later = np.random.default_rng(7)
    RandomStates.find().without(before).renew()
    assert former.random() == np.random.default_rng(7).random() != later.random()
    assert seed.spawn_key == ()


def test_looking_for_generators_changes_none() -> None:
    random.seed(5)
    RandomStates.find()
    drawn = random.random()
    random.seed(5)
    assert drawn == random.random()


def test_a_proxy_of_something_gone_is_passed_over() -> None:
    import weakref

    class Thing:
        pass

    proxy = weakref.proxy(Thing())
    assert RandomStates.find().generators
    assert weakref.getweakrefcount(proxy) == 0
