"""Near misses of special variables."""

from __future__ import annotations

import argparse
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psyrun.cli import run
from psyrun.errors import TaskError
from psyrun.tasks.spelling import OPTIONS_OF_RUN, edits, nearest_special

MISSPELT = {
    "max_job = 3": "max_jobs",
    "maxjobs = 3": "max_jobs",
    "MAX_JOBS = 3": "max_jobs",
    "mxa_jobs = 3": "max_jobs",
    "min_item = 3": "min_items",
    "poolsize = 3": "pool_size",
    "store_ = 'npz'": "store",
    "stroe = 'npz'": "store",
    "Store = 'npz'": "store",
    "resultfiles = 'r.pkl'": "resultfile",
    "result_file = 'r.pkl'": "resultfile",
    "results_file = 'r.pkl'": "resultfile",
    "work_dir = '/scratch'": "workdir",
    "workdirr = '/s'\nfrom psyrun import Sqsub\nscheduler = Sqsub(workdirr)\n"
    "scheduler_args = {'timelimit': '1', 'memory': '1'}": "workdir",
    "schedular = 'Slurm'": "scheduler",
    "scheduler_arg = {}": "scheduler_args",
    "scheduler_arguments = {}": None,
    "exclude_from_results = ['x']": "exclude_from_result",
    "def setups(proc_id): pass": "setup",
    "def excute(x): pass": "execute",
    "pspaces = 3": "pspace",
    "file_deps = ['a']": "file_dep",
    "overwite_dirty = False": "overwrite_dirty",
    "if True:\n    max_job = 3": "max_jobs",
    "max_job, n = 3, 4": "max_jobs",
}


@pytest.mark.parametrize("text", [text for text in MISSPELT if MISSPELT[text]])
def test_a_near_miss_is_an_error_that_says_what_was_meant(load_with, text):
    with pytest.raises(TaskError) as caught:
        load_with(text)
    assert f"Did you mean '{MISSPELT[text]}'?" in str(caught.value)
    assert str(caught.value).startswith("psy-tasks/task_a.py: unknown name '")


OWN = [
    "n_jobs = 3",
    "jobs = 3",
    "restore = 3",
    "scored = 3",
    "max_items = 3",
    "scheduler_arguments = {}",
    "_store = 3",
    "_max_job = 3",
    "from psyrun import store",
    "import psyrun.store",
    "import json as stores",
    "from psyrun import PickleStore as Store",
    "from collections import OrderedDict\nstores = OrderedDict",
    "import os\nstores = os",
    "stores = ['a', 'b']\npspace = Param(x=stores)",
    "def score(x): return x\ndef execute(x): return {'y': score(x)}",
    "score = 0.5\ndef execute(x): return {'y': score}",
    "pspaces = [Param(x=[1]), Param(x=[2])]\npspace = pspaces[0] + pspaces[1]",
    "space = Param(x=[1])\npspace = space * Param(z=[1])\ndef execute(x, z): pass",
    "MAX_JOBS = 7\nmax_jobs = MAX_JOBS",
    "class Store: pass\nkept = Store()",
    "def f():\n    max_job = 3\n    return max_job",
    "def f(stores): return stores",
    "counts = [stores for stores in 'ab']",
    "max_job = 3\ndel max_job",
]


@pytest.mark.parametrize("text", OWN)
def test_other_names_are_the_users_own(load_with, text):
    assert load_with(text)


def test_a_near_miss_in_the_common_file_is_an_error(load_with):
    with pytest.raises(
        TaskError, match=r"^psy-tasks/psy-conf.py: unknown name 'max_job'"
    ):
        load_with(conf="max_job = 3")


words = st.text("abc", max_size=6)


@given(words, words)
def test_edits_are_symmetric_and_bounded(a, b):
    assert edits(a, b) == edits(b, a) <= max(len(a), len(b))
    assert (edits(a, b) == 0) == (a == b)


@given(words, st.integers(0, 5), st.sampled_from("abc"))
def test_a_letter_more_is_one_edit(word, place, letter):
    assert edits(word, word[:place] + letter + word[place:]) == 1


def test_swapped_letters_are_one_edit():
    assert edits("store", "stroe") == 1
    assert nearest_special("stroe") == "store"
    assert nearest_special("y") is None


MISPLACED = {
    "accept_failures = True": "--accept-failures",
    "accept_failure = True": "--accept-failures",
    "ACCEPT_FAILURES = True": "--accept-failures",
    "move_aside = True": "--move-aside",
    "dry_run = True": "--dry-run",
    "continue_ = True": "--continue",
}


@pytest.mark.parametrize("text", MISPLACED)
def test_an_option_of_psy_run_is_refused_where_it_has_no_effect(load_with, text):
    name = text.split(" ")[0]
    said = f"unknown name '{name}'. That is an option: 'psy run {MISPLACED[text]}'"
    with pytest.raises(TaskError, match=f"^psy-tasks/task_a.py: {said}"):
        load_with(text)
    assert load_with(f"_{text}")
    assert load_with(f"{text}\ndef execute(x): return {{'y': {name}}}")
    assert load_with(f"{text}\nnames = globals()")
    with pytest.raises(TaskError, match=f"^psy-tasks/psy-conf.py: {said}"):
        load_with(conf=text)


def test_the_options_of_psy_run_are_those_that_it_has():
    parser = argparse.ArgumentParser()
    run.add_arguments(parser)
    known = parser.format_help()
    assert all(option in known for option in OPTIONS_OF_RUN.values())


UNREAD = {
    "retry = 3": "Did you mean 'retries'?",
    "workers = 3": "Did you mean 'pool_size'?",
    "scheduler = 'Slurm'\ntimelimit = '1h'": "write 'scheduler_args = {'timelimit'",
    "scheduler = 'Slurm'\ncores_per_socket = 2": "{'cores-per-socket': ...}'.",
}


@pytest.mark.parametrize("text", UNREAD)
def test_a_variable_that_nothing_reads_is_told_of(load_with, text):
    with pytest.warns(UserWarning, match=re.escape(UNREAD[text])):
        load_with(text)


READ = [
    "retry = 3\nretries = retry",
    "retry = 3\nretries = 1",
    "def retry(x): return x",
    "timelimit = '1h'",
    "scheduler = 'Slurm'\ntimelimit = '1h'\nscheduler_args = {'timelimit': timelimit}",
    "scheduler = 'Slurm'\ntimelimit = 3\nscheduler_args = {'timelimit': '3h'}",
]


@pytest.mark.parametrize("text", READ)
def test_a_variable_that_is_read_is_the_users_own(load_with, text):
    assert load_with(text)
