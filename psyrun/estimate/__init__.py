"""What the assignments of a space will cost, predicted from some of them."""

from psyrun.estimate.answers import (
    Estimate,
    Extreme,
    Failure,
    NoEstimate,
    Prediction,
)
from psyrun.estimate.evaluated import FAILED, OK, TIMED_OUT, Evaluated
from psyrun.estimate.finishing import OpenBlock, OpenWork, seconds_left
from psyrun.estimate.pilots import affordable, first_pilots, next_pilots
from psyrun.estimate.totals import estimate, predicted_times
from psyrun.utils.ranges import Range

__all__ = [
    "FAILED",
    "OK",
    "TIMED_OUT",
    "Estimate",
    "Evaluated",
    "Extreme",
    "Failure",
    "NoEstimate",
    "OpenBlock",
    "OpenWork",
    "Prediction",
    "Range",
    "affordable",
    "estimate",
    "first_pilots",
    "next_pilots",
    "predicted_times",
    "seconds_left",
]
