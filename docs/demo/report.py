"""Show what the two sweeps of the demonstration found."""

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from psyrun import AutodetectStore

CIRCLE = "psy-work/circle/result.npz"
DIGITS = "psy-work/digits/result.pkl"
N_BEST = 5
N_SHOWN = 6  # radii
FEWEST_POINTS = 10  # inside the circle, for the normal approximation
ALLOWED = 5.0  # standard errors


def report_digits() -> None:
    """Print the settings with the best mean accuracy over the folds."""
    result = AutodetectStore().load(DIGITS)
    accuracies = defaultdict(list)
    for c, gamma, accuracy in zip(
        result["C"], result["gamma"], result["accuracy"], strict=True
    ):
        accuracies[c, gamma].append(accuracy)
    best = sorted(accuracies.items(), key=lambda item: -np.mean(item[1]))
    print(f"\nHandwritten digits: the best {N_BEST} of {len(best)} settings")
    print("       C      gamma   accuracy (mean and standard deviation over folds)")
    for (c, gamma), found in best[:N_BEST]:
        print(f"{c:8.1f} {gamma:10.2g} {np.mean(found):10.4f} {np.std(found):.4f}")
    print(f"All {len(result['C'])} rows: {Path(DIGITS).resolve()}")


def report_circle() -> bool:
    """Print estimated areas beside the true ones; return whether they agree."""
    result = AutodetectStore().load(CIRCLE)
    radii, trials = np.unique(result["radius"], return_counts=True)
    points = result["points"]
    estimates = np.array(
        [np.mean(result["a_frac"][result["radius"] == radius]) for radius in radii]
    )
    areas = np.pi * radii**2 / 4
    n_points = trials * points.shape[1]
    errors = np.sqrt(areas * (1 - areas) / n_points)
    print("\nCircle: share of random points inside, and what geometry says")
    print("  radius   a_frac   pi radius^2 / 4   standard error")
    for i in np.linspace(0, len(radii) - 1, N_SHOWN).astype(int):
        print(f"{radii[i]:8.4f} {estimates[i]:8.4f} {areas[i]:17.4f} {errors[i]:16.4f}")
    enough = areas * n_points >= FEWEST_POINTS
    largest = np.max(np.abs(estimates - areas)[enough] / errors[enough])
    print(f"Largest deviation of {enough.sum()} radii: {largest:.1f} standard errors")
    n_different = len(np.unique(points.reshape(len(points), -1), axis=0))
    print(f"Rows with random points of their own: {n_different} of {len(points)}")
    print(f"All {len(points)} rows: {Path(CIRCLE).resolve()}")
    return bool(largest < ALLOWED) and n_different == len(points)


if __name__ == "__main__":
    report_digits()
    sys.exit(0 if report_circle() else "The circle's area is not what it should be.")
