"""Entry of a job: hand it to a fork server if there is one, else run it here.

This module imports little, because it is started once for each job.
"""

import sys

from psyrun.utils.process.isolation import isolate
from psyrun.utils.streams import open_standard_streams


def main(arguments: list[str]) -> int:
    """Run one step and return its exit status."""
    open_standard_streams()
    isolate()
    from psyrun.steps.forkclient import ask

    status = ask(arguments)
    if status is None:
        from psyrun.steps.threads import limit_threads

        # Before NumPy is imported.
        limit_threads(arguments)
        from psyrun.steps.main import run_alone

        run_alone(arguments)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
