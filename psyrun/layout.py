"""What a ``workflow/Snakefile`` imports that ``psy init`` wrote before 1.0."""

from psyrun.utils.resources import shipped

__all__ = ["shipped"]
