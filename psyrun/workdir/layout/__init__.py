"""Every path that psyrun writes or ships.

A task owns one folder, ``<workdir>/<task>``::

    Snakefile             what `psy run` generated
    environment.yaml      the software that its rules need
    state.json            the plan that was accepted last
    digests.json          digests of large files
    source.json           what was found out about the source
    version.json          files that the task reads and does not list
    versions/             what versions of the task consisted of
    origin.json           where the folder was made
    description.json      dimensions, coordinates and units of its results
    prediction.json       what it was predicted to cost last
    lock                  who runs the task now
    snakemake.log         what Snakemake printed
    <task>:split.log …    what each job printed
    plain-names           whether ":" in these names is "."
    stop                  asks the controller to stop
    run.json              who runs it, or how its last run ended
    run.log               what `psy run` printed
    results.json          where its merges have written to
    loaded/               which files of code its jobs loaded
    provenance/           source, commit and libraries of each version
    queue/                what was submitted to a queue
    waiting.json          why its jobs wait there
    controller/           controllers that were put in a queue
    damaged/              files that could not be used, below it as they were here
    notices/              what jobs found out that their run has to say
    result.<ext>          the result, unless `resultfile` says otherwise
    round-<n>/            one division of the space among jobs
        space.pkl         the frozen space
        split.json        how it was divided
        kept.<ext>        rows taken over from earlier rounds
        blocks/<i>.<ext>  the rows of each process job
        blocks/.<i>.costs what these rows have cost
        blocks/.<i>.json  the checksum of these files
        finished/         second names of all of these
        journal/          one record per assignment, while jobs run
        claims/           which work was fetched (load balancing)
        locks/            which jobs run
        hanging/          which of their processes seem to hang
        rows-<name>.<ext> the rows of a merged round: a second name of its result
        rows.json         what is recorded of them
        costs-of-rows     what they have cost, if they do not tell that themselves
        prediction.json   what was predicted to be the cost when it began
        jobs.json         what its jobs have asked a queue for
        expected-end.json when the evaluations will be done
        merged.json       what the last merge wrote
        merged-<name>     that it ended, for Snakemake
"""

from psyrun.workdir.layout.names import (
    MERGE,
    PROCESS,
    SPLIT,
    Place,
    block_of_journal,
    locks_in,
)
from psyrun.workdir.layout.round import Round
from psyrun.workdir.layout.task import TaskLayout
from psyrun.workdir.layout.task_record import (
    RECORDS,
    TaskRecord,
    layout_of,
    record_of_task,
)

__all__ = [
    "MERGE",
    "PROCESS",
    "RECORDS",
    "SPLIT",
    "Place",
    "Round",
    "TaskLayout",
    "TaskRecord",
    "block_of_journal",
    "layout_of",
    "locks_in",
    "record_of_task",
]
