"""What spaces, maps and stores print, character by character."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

EXAMPLES = {
    "a scalar is repeated to the length of the sequences": """
        >>> space = Param(a=[1, 2, 3], b=[4, 5, 6], c=7)
        >>> pprint(space.build())
        {'a': [1, 2, 3], 'b': [4, 5, 6], 'c': [7, 7, 7]}
        """,
    "a product combines each point with each other": """
        >>> space = Param(a=[1, 2, 3], b=[4, 5, 6]) * Param(c=[7, 8])
        >>> pprint(space.build())
        {'a': [1, 1, 2, 2, 3, 3], 'b': [4, 4, 5, 5, 6, 6], 'c': [7, 8, 7, 8, 7, 8]}
        """,
    "a sum fills what is missing with nan": """
        >>> space = Param(a=[1, 2]) + Param(a=[2, 3], b=[4, 4])
        >>> pprint(space.build())
        {'a': [1, 2, 2, 3], 'b': [nan, nan, 4, 4]}
        """,
    "a difference removes matching points": """
        >>> space = Param(a=[1, 2, 3], b=[1, 2, 3]) - Param(a=[2])
        >>> pprint(space.build())
        {'a': [1, 3], 'b': [1, 3]}
        """,
    "a difference refuses keys that the minuend lacks": """
        >>> Param(a=[1, 2, 3]) - Param(a=[2], c=[4])
        Traceback (most recent call last):
            ...
        psyrun.pspace.AmbiguousOperationError: Key `c` not existent in minuend.
        """,
    "missing takes such keys": """
        >>> from psyrun.pspace import missing
        >>> pprint(missing(Param(a=[1, 2, 3]), Param(a=[2], c=[4])).build())
        {'a': [1, 3]}
        """,
    "iterate yields one point after the other": """
        >>> for p in (Param(a=[1, 2]) * Param(b=[3, 4])).iterate():
        ...     pprint(p)
        {'a': 1, 'b': 3}
        {'a': 1, 'b': 4}
        {'a': 2, 'b': 3}
        {'a': 2, 'b': 4}
        """,
    "map_pspace tabulates parameters and results": """
        >>> from psyrun import map_pspace
        >>> from psyrun import pspace
        >>> def basic_math(a, b):
        ...     return {'sum': a + b, 'product': a * b}
        >>> pspace = Param(a=[1, 2]) * Param(b=[3, 4])
        >>> pprint(map_pspace(basic_math, pspace))
        {'a': [1, 1, 2, 2],
         'b': [3, 4, 3, 4],
         'product': [3, 4, 6, 8],
         'sum': [4, 5, 5, 6]}
        """,
    "map_pspace_parallel does so in several processes": """
        >>> from psyrun import map_pspace_parallel
        >>> from psyrun.utils.example import square
        >>> pprint(map_pspace_parallel(square, Param(x=[1, 2, 3])))
        {'x': [1, 2, 3], 'y': [1, 4, 9]}
        """,
    "a result becomes a data frame": """
        >>> import pandas as pd
        >>> import psyrun
        >>> store = psyrun.store.PickleStore()
        >>> store.save('datafile.pkl', {'a': [1, 2], 'b': [3.5, 4.5]})
        >>> pd.DataFrame(store.load('datafile.pkl'))
           a    b
        0  1  3.5
        1  2  4.5
        """,
    "the names of a task file can be imported": """
        >>> from psyrun import Sqsub
        >>> from psyrun.backend import DistributeBackend, LoadBalancingBackend
        >>> from psyrun.scheduler import ImmediateRun, Scheduler, Slurm
        >>> from psyrun.store import AutodetectStore, PickleStore
        >>> from psyrun.store.h5 import H5Store
        >>> from psyrun.store.npz import NpzStore
        >>> from psyrun.tasks import Config
        """,
}
NAMES = "from pprint import pprint\nfrom psyrun import Param"


@pytest.mark.parametrize("name", EXAMPLES)
def test_prints_what_the_guide_prints(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {}
    exec(NAMES, namespace)
    test = doctest.DocTestParser().get_doctest(EXAMPLES[name], namespace, name, None, 0)
    failures: list[str] = []
    doctest.DocTestRunner().run(test, out=failures.append)
    assert not failures, "".join(failures)
