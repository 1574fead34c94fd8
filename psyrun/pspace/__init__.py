"""Parameter spaces and their algebra."""

from psyrun.pspace.param import Param, missing
from psyrun.pspace.space import AmbiguousOperationError, ParameterSpace

__all__ = ["AmbiguousOperationError", "Param", "ParameterSpace", "missing"]
