"""What a process does about itself."""

from __future__ import annotations

from threading import Timer

from psyrun.utils.process.basics import cancel_timers


def timer_of(module: str) -> Timer:
    def ring() -> None:
        raise AssertionError("nobody waits for this")

    ring.__module__ = module
    timer = Timer(3600, ring)
    timer.start()
    return timer


def test_only_the_timers_of_one_package_are_cancelled() -> None:
    theirs, others = timer_of("snakemake.scheduling"), timer_of("snakemaker")
    try:
        cancel_timers("snakemake")
        theirs.join()
        assert others.is_alive()
    finally:
        others.cancel()
