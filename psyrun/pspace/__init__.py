"""Parameter spaces and their algebra."""

from psyrun.pspace.param import Param, missing
from psyrun.pspace.ranges import integers, log, normal, uniform
from psyrun.pspace.replicates import replicates
from psyrun.pspace.samplers import Grid, Halton, LatinHypercube, Random, Sobol
from psyrun.pspace.space import AmbiguousOperationError, ParameterSpace
from psyrun.utils.former import former_names

__all__ = [
    "AmbiguousOperationError",
    "Grid",
    "Halton",
    "LatinHypercube",
    "Param",
    "ParameterSpace",
    "Random",
    "Sobol",
    "integers",
    "log",
    "missing",
    "normal",
    "replicates",
    "uniform",
]

__getattr__ = former_names(
    __name__,
    {
        "Difference": "psyrun.pspace.space:Difference the operator '-'",
        "Product": "psyrun.pspace.space:Product the operator '*'",
        "Sum": "psyrun.pspace.space:Sum the operator '+'",
        "dict_concat": "psyrun.pspace.former:dict_concat 'pandas.DataFrame(rows)'",
    },
)
