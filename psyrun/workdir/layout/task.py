"""Paths of one task."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from psyrun.workdir.layout.round import Round


@dataclass(frozen=True)
class TaskLayout:
    """Paths of one task, ``<workdir>/<task>``."""

    folder: Path

    @classmethod
    def of(cls, workdir: str | Path, name: str) -> TaskLayout:
        """Return the layout of task `name` below `workdir`."""
        return cls(Path(workdir) / name)

    @property
    def name(self) -> str:
        """Name of the task."""
        return self.folder.name or self.folder.absolute().name

    @property
    def snakefile(self) -> Path:
        """The generated Snakefile."""
        return self.folder / "Snakefile"

    @property
    def environment(self) -> Path:
        """Conda environment file that the generated rules name."""
        return self.folder / "environment.yaml"

    @property
    def state(self) -> Path:
        """The accepted plan."""
        return self.folder / "state.json"

    @property
    def snakemake_log(self) -> Path:
        """What Snakemake itself printed."""
        return self.folder / "snakemake.log"

    @property
    def lock(self) -> Path:
        """Lock of the whole task."""
        return self.folder / "lock"

    @property
    def stop(self) -> Path:
        """Empty file that asks the task's controller to stop."""
        return self.folder / "stop"

    @property
    def run_record(self) -> Path:
        """Who runs the task, or how its last run ended."""
        return self.folder / "run.json"

    @property
    def run_log(self) -> Path:
        """What the last run that began with this task printed."""
        return self.folder / "run.log"

    @property
    def queue(self) -> Path:
        """The folder of the arrays that were submitted to a queue."""
        return self.folder / "queue"

    @property
    def waiting(self) -> Path:
        """Why its jobs wait in a queue, as that has said last, as JSON."""
        return self.folder / "waiting.json"

    @property
    def controllers(self) -> Path:
        """The folder of controllers that were put in a queue."""
        return self.folder / "controller"

    @property
    def damaged(self) -> Path:
        """The folder of files that could not be used, below it as they were here."""
        return self.folder / "damaged"

    @property
    def notices(self) -> Path:
        """The folder of what jobs found out that their run has to say."""
        return self.folder / "notices"

    @property
    def digests(self) -> Path:
        """Digests of large files that the task depends on."""
        return self.folder / "digests.json"

    @property
    def source(self) -> Path:
        """What was found out about the source of the task."""
        return self.folder / "source.json"

    @property
    def version(self) -> Path:
        """Which files its task reads that are not in `file_dep`."""
        return self.folder / "version.json"

    @property
    def versions(self) -> Path:
        """The folder of records of what its versions consisted of."""
        return self.folder / "versions"

    @property
    def provenance(self) -> Path:
        """The folder of records of where the rows of each version come from."""
        return self.folder / "provenance"

    @property
    def loaded(self) -> Path:
        """The folder of records of the code that its jobs loaded."""
        return self.folder / "loaded"

    @property
    def origin(self) -> Path:
        """Where the folder was made, as JSON."""
        return self.folder / "origin.json"

    @property
    def description(self) -> Path:
        """Names, coordinates and units of the results, as JSON."""
        return self.folder / "description.json"

    @property
    def prediction(self) -> Path:
        """What the task was predicted to cost last, as JSON."""
        return self.folder / "prediction.json"

    @property
    def settling(self) -> Path:
        """Lock of whoever makes a copy of the folder independent."""
        return self.folder / ".lock.settling"

    @property
    def results(self) -> Path:
        """Where merges have written results to, as JSON."""
        return self.folder / "results.json"

    def round(self, number: int) -> Round:
        """Paths of one round."""
        return Round(self.folder / f"round-{number}")

    def rounds(self) -> dict[int, Round]:
        """All rounds on disk by number."""
        found = {
            int(path.name.removeprefix("round-")): Round(path)
            for path in self.folder.glob("round-*")
            if path.name.removeprefix("round-").isdecimal()
        }
        return dict(sorted(found.items()))

    def log(self, step: str, block: int | str | None = None) -> Path:
        """Log file of a job, named as in ``<task>:process:3.log``.

        Where a disk has no such names, it is ``<task>.process.3.log``.
        """
        name = self.job(step, block)
        if self.plain_names.exists():
            name = name.replace(":", ".")
        return self.folder / f"{name}.log"

    @property
    def plain_names(self) -> Path:
        """A file that is there if there can be no ``:`` in the names of others."""
        return self.folder / "plain-names"

    def logs(self) -> list[Path]:
        """All log files of jobs that are there."""
        return sorted(self.folder.glob(f"{self.name}[:.]*.log"))

    def job(self, step: str, block: int | str | None = None) -> str:
        """Name of a job, such as ``square:process:3``."""
        return ":".join([self.name, step, *([] if block is None else [str(block)])])
