"""The command ``psy``, as ``python -m psyrun.cli``."""

from psyrun.cli.main import program

program()
