"""The area of a circle, estimated by throwing random points at a square.

The square reaches from -1 to 1. The share of the points that are closer to its
centre than `radius` estimates pi * radius**2 / 4.
"""

import numpy as np

from psyrun import NpzStore, Param

N_POINTS = 100

pspace = Param(radius=np.linspace(0.0, 1.0, 100)) * Param(trial=np.arange(50))
store = NpzStore()
max_jobs = 20


def execute(radius, trial):
    points = np.random.uniform(-1.0, 1.0, (N_POINTS, 2))
    distances = np.linalg.norm(points, axis=1)
    return {"a_frac": np.mean(distances < radius), "points": points}
