"""``psy snakefile``: where the Snakefile is."""

from __future__ import annotations

import argparse

from psyrun.utils.resources import shipped


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        'For example: snakemake --snakefile "$(psy snakefile)" '
        '--profile "$(psy profile local)" --cores 2'
    )


def execute(args: argparse.Namespace) -> int:
    """Print the path."""
    print(shipped("workflow", "Snakefile"))
    return 0
