"""What is to be done, for each combination of what is wanted and what is there."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from plans import DESIRED

from psyrun.backend import Backend, DistributeBackend, LoadBalancingBackend
from psyrun.errors import PsyrunError
from psyrun.planning.decide import Decision, decide
from psyrun.planning.states import Current, KeptRows, RowNumbers, RowSource
from psyrun.utils.files import read_json, write_json
from psyrun.workdir.layout import TaskLayout
from psyrun.workdir.plan import Plan


def counting(n_open: int, n_redone: int = 0) -> Callable[[KeptRows], RowNumbers]:
    """Return what counts rows: all of other code are to be computed again.

    Of those that can be kept, some are missing; in the space of before, 3.
    """

    def count(kept: KeptRows) -> RowNumbers:
        if n_redone and not kept.keeps_all:
            return RowNumbers(10, 10, n_redone=n_redone)
        return RowNumbers(10, 3 if kept.same_space else n_open)

    return count


def there(
    *rounds: int, code: str = "code", space: str = "space"
) -> dict[int, RowSource]:
    """Return rounds with rows, the newest first."""
    return {number: RowSource(code, space) for number in rounds}


FIRST = decide(replace(DESIRED, token="first"), Current(), keep_going=False).plan
DONE = Current(
    plan=FIRST,
    is_split=True,
    merged="first",
    merged_into="result.pkl",
    has_result=True,
    sources=there(1),
    count_open=lambda number: 3,
    count_rows=counting(4),
)
UNSPLIT = replace(DONE, is_split=False, merged=None, has_result=False, sources={})
KILLED = replace(DONE, missing_blocks=(1,), merged=None, has_result=False)


both = pytest.mark.parametrize("keep_going", [False, True], ids=["run", "continue"])


def steps(decision: Decision) -> tuple[bool, tuple[int, ...], bool]:
    return decision.split, decision.blocks, decision.merge


def unexpected(numbers: object) -> int:
    raise AssertionError("rows were compared in vain")


def test_a_new_task_is_split_evaluated_and_merged() -> None:
    decision = decide(DESIRED, Current(), keep_going=False)
    assert steps(decision) == (True, (0, 1), True)
    assert (decision.plan.round, decision.plan.n_blocks) == (1, 2)
    assert not decision.is_dirty and not decision.is_done


SAME_CODE: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[int, ...], bool]] = {
    # what is desired, what is there, blocks to run, whether to merge
    "nothing changed": ({}, {}, (), False),
    "pool_size changed": ({"pool_size": 4}, {}, (), False),
    "python changed": ({"python": "pypy3"}, {}, (), False),
    "max_jobs changed": ({"max_jobs": 5}, {}, (), False),
    "min_items changed": ({"min_items": 10}, {}, (), False),
    "the space has another length": ({"n_items": 11}, {}, (), False),
    "store changed": ({"ext": ".npz", "resultfile": "result.npz"}, {}, (), True),
    "resultfile changed": ({"resultfile": "other.pkl"}, {}, (), True),
    "result deleted": ({}, {"has_result": False}, (), True),
    "a block deleted": ({}, {"missing_blocks": (1,)}, (1,), True),
    "a block deleted, max_jobs changed": (
        {"max_jobs": 5},
        {"missing_blocks": (1,)},
        (1,),
        True,
    ),
    "killed in a block": ({}, {"merged": None, "missing_blocks": (1,)}, (1,), True),
    "killed before the merge": ({}, {"merged": None}, (), True),
    "killed before the merge, max_jobs changed": (
        {"max_jobs": 5},
        {"merged": None},
        (),
        True,
    ),
    "killed in a second merge": ({}, {"merged": "zeroth"}, (), True),
}


@both
@pytest.mark.parametrize(
    ("desired", "current", "blocks", "merge"), SAME_CODE.values(), ids=SAME_CODE.keys()
)
def test_the_same_code_never_divides_the_space_of_a_finished_round_anew(
    desired: dict[str, Any],
    current: dict[str, Any],
    blocks: tuple[int, ...],
    merge: bool,
    keep_going: bool,
) -> None:
    current = {"count_open": unexpected, "count_rows": unexpected, **current}
    decision = decide(
        replace(DESIRED, **desired), replace(DONE, **current), keep_going=keep_going
    )
    assert steps(decision) == (False, blocks, merge)
    assert decision.plan.round == 1
    assert decision.is_done == (not blocks and not merge)
    assert not decision.is_dirty


@pytest.mark.parametrize(
    "current",
    [{"has_result": False}, {"missing_blocks": (0,)}, {"merged_into": "other.pkl"}],
)
def test_what_was_merged_before_is_merged_under_a_new_name(
    current: dict[str, Any],
) -> None:
    plan = decide(DESIRED, replace(DONE, **current), keep_going=False).plan
    assert plan == replace(FIRST, merge="fresh")


@pytest.mark.parametrize("described", ["units", None])
def test_what_is_said_of_results_is_only_merged(described: str | None) -> None:
    current = replace(DONE, count_rows=unexpected, described=described)
    same = decide(replace(DESIRED, described="units"), current, keep_going=False)
    assert same.is_done
    assert not same.describes
    new = decide(replace(DESIRED, described="new"), current, keep_going=False)
    assert steps(new) == (False, (), described is not None)
    assert new.describes == (described is not None)
    assert new.plan == replace(FIRST, merge="fresh" if described else "first")


@pytest.mark.parametrize(
    "current", [{"missing_blocks": (1,)}, {}, {"merged": "zeroth", "merged_into": "x"}]
)
def test_a_merge_that_never_ended_keeps_its_name(current: dict[str, Any]) -> None:
    current = {"merged": None, **current}
    plan = decide(DESIRED, replace(DONE, **current), keep_going=False).plan
    assert plan.merge == "first"


def test_the_new_store_of_a_finished_round_only_concerns_the_result() -> None:
    desired = replace(DESIRED, ext=".h5", resultfile="result.h5")
    plan = decide(desired, DONE, keep_going=False).plan
    assert (plan.block_ext, plan.result_ext) == (".pkl", ".h5")
    assert plan.resultfile == "result.h5"


def test_what_a_killed_run_left_is_for_the_new_store() -> None:
    desired = replace(DESIRED, ext=".h5", resultfile="result.h5")
    plan = decide(desired, KILLED, keep_going=False).plan
    assert (plan.round, plan.keep, plan.same_space) == (2, "round", True)
    assert (plan.block_ext, plan.result_ext) == (".h5", ".h5")


@both
@pytest.mark.parametrize("change", [{"max_jobs": 3}, {"min_items": 2}])
def test_what_a_killed_run_left_is_divided_anew_where_the_division_changed(
    change: dict[str, int], keep_going: bool
) -> None:
    desired = replace(DESIRED, **change)  # type: ignore[arg-type]
    decision = decide(desired, KILLED, keep_going=keep_going)
    plan = decision.plan
    assert steps(decision) == (True, tuple(range(plan.n_blocks)), True)
    assert (plan.keep, plan.keep_rounds, plan.same_space) == ("round", (1,), True)
    assert plan.round == 2
    assert plan.n_blocks == desired.n_blocks(3)
    assert not decision.is_dirty


@both
def test_a_plan_that_was_never_split_is_split_as_wanted_now(keep_going: bool) -> None:
    desired = replace(DESIRED, max_jobs=5, ext=".npz", resultfile="r.npz")
    decision = decide(desired, UNSPLIT, keep_going=keep_going)
    assert steps(decision) == (True, (0, 1, 2, 3, 4), True)
    assert (decision.plan.round, decision.plan.block_ext) == (1, ".npz")


@both
@pytest.mark.parametrize(
    ("keep", "same_space", "n_open"),
    [("round", False, 4), ("round", True, 3), ("result", False, 4)],
)
def test_an_unsplit_plan_takes_rows_from_where_it_was_going_to(
    keep: str, same_space: bool, n_open: int, keep_going: bool
) -> None:
    sources = (2,) if keep == "round" else ()
    keeps_all = keep == "result"
    last = replace(FIRST, round=3, keep=keep, keep_rounds=sources, keeps_all=keeps_all)
    space = "space" if same_space else "another"
    found = there(*sources, space=space)
    current = replace(UNSPLIT, plan=last, sources=found)
    current = replace(current, has_result=keep == "result")
    desired = replace(DESIRED, max_jobs=100)
    decision = decide(desired, current, keep_going=keep_going)
    plan = decision.plan
    assert (plan.round, plan.keep, plan.keep_rounds) == (3, keep, sources)
    assert (plan.same_space, plan.n_blocks) == (same_space, n_open)
    assert not decision.is_dirty


@pytest.mark.parametrize("current", [DONE, KILLED], ids=["done", "killed"])
def test_changed_code_computes_all_anew(current: Current) -> None:
    current = replace(current, count_rows=counting(4, n_redone=10))
    decision = decide(replace(DESIRED, fingerprint="new"), current, keep_going=False)
    plan = decision.plan
    assert steps(decision) == (True, (0, 1), True)
    assert (plan.round, plan.keep, plan.keep_rounds) == (2, "round", (1,))
    # A random space stays, so that results can be compared.
    assert plan.same_space and not plan.keeps_all
    assert decision.is_dirty


@pytest.mark.parametrize("current", [DONE, KILLED], ids=["done", "killed"])
def test_changed_code_computes_what_is_missing_on_continue(current: Current) -> None:
    desired = replace(DESIRED, fingerprint="new", space_source="new", max_jobs=100)
    decision = decide(desired, current, keep_going=True)
    plan = decision.plan
    assert steps(decision) == (True, (0, 1, 2, 3), True)
    assert (plan.round, plan.keep, plan.keep_rounds) == (2, "round", (1,))
    assert not plan.same_space and not decision.is_dirty


@pytest.mark.parametrize("backend", [DistributeBackend(), LoadBalancingBackend()])
def test_without_a_limit_there_is_a_job_for_each_assignment(backend: Backend) -> None:
    desired = replace(DESIRED, max_jobs=None, backend=backend)
    assert [desired.n_blocks(n) for n in (0, 1, 2500)] == [0, 1, 2500]


def test_continuing_where_no_row_is_missing_only_splits_and_merges() -> None:
    current = replace(DONE, count_rows=lambda kept: RowNumbers(10, 0, 10))
    decision = decide(replace(DESIRED, fingerprint="new"), current, keep_going=True)
    assert steps(decision) == (True, (), True)
    assert decision.plan.n_blocks == 0


def test_an_unsplit_round_is_taken_again_by_changed_code() -> None:
    decision = decide(replace(DESIRED, fingerprint="new"), UNSPLIT, keep_going=False)
    assert decision.plan.round == 1
    assert not decision.is_dirty


def test_continue_chains_from_a_round_that_itself_was_continued() -> None:
    third = replace(FIRST, round=3, keep="round", keep_rounds=(2,), fingerprint="b")
    current = replace(DONE, plan=third, sources=there(3))
    plan = decide(replace(DESIRED, fingerprint="c"), current, keep_going=True).plan
    assert (plan.round, plan.keep_rounds) == (4, (3,))


def test_continue_reaches_behind_a_round_that_was_never_split() -> None:
    second = replace(FIRST, round=2, keep="round", keep_rounds=(1,), fingerprint="b")
    current = replace(UNSPLIT, plan=second, sources=there(1))
    plan = decide(replace(DESIRED, fingerprint="c"), current, keep_going=True).plan
    assert (plan.round, plan.keep, plan.keep_rounds) == (2, "round", (1,))


def test_an_edited_space_keeps_the_rows_that_are_in_it() -> None:
    desired = replace(DESIRED, space_source="edited", max_jobs=100)
    decision = decide(desired, DONE, keep_going=False)
    plan = decision.plan
    assert steps(decision) == (True, (0, 1, 2, 3), True)
    assert (plan.round, plan.keep, plan.keep_rounds) == (2, "round", (1,))
    assert not plan.keeps_all and not plan.same_space
    assert not decision.is_dirty


def test_an_edited_space_takes_rows_from_all_rounds() -> None:
    current = replace(
        DONE, plan=replace(FIRST, round=3), sources=there(3, 2, 1, space="former")
    )
    desired = replace(DESIRED, space_source="edited")
    plan = decide(desired, current, keep_going=False).plan
    assert (plan.round, plan.keep_rounds) == (4, (3, 2, 1))


@pytest.mark.parametrize(
    ("completes", "all_of"), [((), (3, 2, 1)), ((2, 1), (3, 2)), ((3,), (3,))]
)
def test_continue_keeps_what_is_in_the_result_or_was_evaluated_since(
    completes: tuple[int, ...], all_of: tuple[int, ...]
) -> None:
    sources = {
        number: source._replace(is_complete=number in completes)
        for number, source in there(3, 2, 1).items()
    }
    current = replace(DONE, plan=replace(FIRST, round=3), sources=sources)
    desired = replace(DESIRED, fingerprint="new")
    plan = decide(desired, current, keep_going=True).plan
    assert (plan.keep_rounds, plan.all_of) == ((3, 2, 1), all_of)
    tried = replace(current, count_failed=lambda: current.count_open(3))
    assert decide(desired, tried, keep_going=True).plan.all_of == (3,)


def test_a_space_that_is_as_it_was_is_not_sampled_again() -> None:
    sources = {**there(3, space="edited"), **there(2, 1)}
    last = replace(FIRST, round=3, space_source="edited")
    plan = decide(DESIRED, replace(DONE, plan=last, sources=sources), keep_going=False)
    assert plan.plan.same_space and plan.plan.keep_rounds == (2, 3, 1)


def replacing(current: Current, **changes: Any) -> Current:
    """Return what is known after a plain run of changed code that was interrupted."""
    current = replace(current, count_rows=counting(4, n_redone=10))
    plan = decide(replace(DESIRED, fingerprint="new"), current, keep_going=False).plan
    assert (plan.round, plan.keep_rounds, plan.keeps_all) == (2, (1,), False)
    found = {"sources": there(1), "n_left_out": 10, "count_rows": counting(4)}
    return replace(UNSPLIT, plan=plan, **found | changes)


NEW = replace(DESIRED, fingerprint="new", max_jobs=100)
BOTH = {**there(2, code="new"), **there(1)}


def test_who_thinks_better_of_computing_all_again_continues() -> None:
    plan = decide(NEW, replacing(DONE), keep_going=True).plan
    assert (plan.round, plan.keep, plan.keep_rounds) == (2, "round", (1,))
    assert plan.keeps_all
    assert plan.n_blocks == 3


def test_rows_that_were_computed_again_already_are_kept_by_continuing() -> None:
    current = replacing(DONE, is_split=True, sources=BOTH, missing_blocks=(1,))
    plan = decide(NEW, current, keep_going=True).plan
    assert (plan.round, plan.keep, plan.keep_rounds) == (3, "round", (2, 1))
    assert plan.keeps_all


def test_to_continue_after_failures_is_to_try_again() -> None:
    current = replacing(DONE, is_split=True, sources=BOTH, missing_blocks=(1,))
    current = replace(current, count_failed=lambda: current.count_open(2))
    desired = replace(DESIRED, fingerprint="new")
    plan = decide(desired, current, keep_going=True).plan
    assert (plan.round, plan.keeps_all) == (2, False)


def test_changed_code_continues_what_was_computed_again() -> None:
    current = replacing(DONE, is_split=True, sources=BOTH, missing_blocks=(1,))
    plan = decide(replace(NEW, fingerprint="newer"), current, keep_going=True).plan
    assert (plan.keep, plan.keep_rounds, plan.keeps_all) == ("round", (2, 1), True)


@pytest.mark.parametrize("is_split", [False, True])
def test_who_goes_on_computing_all_again_can_still_think_better_of_it(
    is_split: bool,
) -> None:
    sources = BOTH if is_split else there(1)
    current = replacing(DONE, is_split=is_split, sources=sources)
    decision = decide(NEW, current, keep_going=False)
    plan = decision.plan
    assert (plan.round, plan.keep_rounds, plan.keeps_all) == (2, (1,), False)
    assert not decision.is_dirty


@both
@pytest.mark.parametrize("is_split", [False, True])
def test_a_change_that_is_taken_back_takes_the_rows_back(
    is_split: bool, keep_going: bool
) -> None:
    sources = BOTH if is_split else there(1)
    current = replacing(DONE, is_split=is_split, sources=sources)
    decision = decide(DESIRED, current, keep_going=keep_going)
    plan = decision.plan
    assert (plan.keep, plan.keep_rounds) == ("round", (*sources,))
    assert plan.same_space and plan.keeps_all == keep_going
    assert not decision.is_dirty


def test_kept_rows_of_older_code_are_computed_again_by_a_plain_run() -> None:
    last = replace(FIRST, keeps_all=True)
    counts = counting(4, n_redone=10)
    current = replace(DONE, plan=last, n_others=5, count_rows=counts)
    decision = decide(DESIRED, current, keep_going=False)
    assert decision.split and decision.is_dirty
    assert decide(DESIRED, current, keep_going=True).is_done
    careful = replace(DESIRED, overwrite_dirty=False)
    assert decide(careful, current, keep_going=False).is_done
    former = replace(current, plan=replace(last, keeps_all=None))
    assert decide(DESIRED, former, keep_going=False).is_done


def test_rows_outside_of_the_space_leave_the_result_in_a_plain_run() -> None:
    last = replace(FIRST, keeps_all=True)
    current = replace(DONE, plan=last, n_others=5)
    decision = decide(DESIRED, current, keep_going=False)
    assert decision.split and decision.merge and not decision.is_dirty


@pytest.mark.parametrize("current", [DONE, KILLED, UNSPLIT], ids=["done", "killed", ""])
def test_all_is_evaluated_again_if_asked_for(current: Current) -> None:
    desired = replace(DESIRED, is_fresh=True)
    decision = decide(desired, current, keep_going=False)
    assert steps(decision) == (True, (0, 1), True)
    assert (decision.plan.keep, decision.plan.superseded) == ("", (*current.sources,))
    assert not decision.is_dirty
    # What was begun goes on.
    begun = replace(UNSPLIT, plan=decision.plan, sources=current.sources)
    again = decide(DESIRED, begun, keep_going=False).plan
    assert (again.keep, again.superseded) == ("", (*current.sources,))


FORMER = replace(FIRST, fingerprint="old", space_source="", keeps_all=None)


def test_rows_of_an_earlier_version_of_psyrun_are_known_by_their_name() -> None:
    desired = replace(DESIRED, fingerprint="old", also=("code",))
    current = replace(DONE, plan=FORMER, sources=there(1, code="old", space=""))
    assert decide(desired, current, keep_going=False).is_done
    edited = replace(desired, space_source="edited")
    plan = replace(FORMER, space_source="space", also=("code",))
    current = replace(DONE, plan=plan, sources=there(1, code="old", space="space"))
    decision = decide(edited, current, keep_going=False)
    assert decision.plan.keep_rounds == (1,) and not decision.plan.same_space
    assert set(decision.plan.names) == {"old", "code"}


@both
def test_a_result_without_a_work_folder_is_kept_or_dirty(keep_going: bool) -> None:
    current = Current(has_result=True, count_rows=counting(4))
    decision = decide(replace(DESIRED, max_jobs=100), current, keep_going=keep_going)
    assert decision.is_dirty == (not keep_going)
    assert decision.plan.keep == ("result" if keep_going else "")
    assert decision.plan.n_blocks == (4 if keep_going else 10)


@both
def test_what_was_decided_is_done_once_it_has_been_done(keep_going: bool) -> None:
    plan = decide(replace(DESIRED, fingerprint="new"), DONE, keep_going=keep_going).plan
    done = replace(DONE, plan=plan, merged=plan.merge, sources=there(plan.round))
    again = replace(DESIRED, fingerprint="new", token="fresher")
    assert decide(again, done, keep_going=keep_going).is_done


@pytest.fixture
def layout(tmp_path: Path) -> TaskLayout:
    """Return the paths of a task with a recorded plan."""
    layout = TaskLayout(tmp_path)
    FIRST.save(layout)
    return layout


def test_a_plan_is_read_as_it_was_recorded(layout: TaskLayout) -> None:
    assert Plan.load(layout) == FIRST


@pytest.mark.parametrize(
    "change", [{"format": 0}, {"format": None}, {"more": 1}], ids=str
)
def test_a_plan_of_another_version_is_refused(
    layout: TaskLayout, change: dict[str, Any]
) -> None:
    write_json(layout.state, {**read_json(layout.state), **change})
    with pytest.raises(PsyrunError, match=r"^/.*/state\.json: .*'psy doctor --repair"):
        Plan.load(layout)


@pytest.mark.parametrize("name", ["format", "round", "task"])
def test_a_plan_that_lacks_something_is_refused(layout: TaskLayout, name: str) -> None:
    record = read_json(layout.state)
    del record[name]
    write_json(layout.state, record)
    with pytest.raises(PsyrunError, match="not written by this version"):
        Plan.load(layout)


def test_a_random_space_that_grew_after_a_plan_for_nothing_is_divided_anew() -> None:
    # Who made the plan saw a sample that old rows cover; split saw another one.
    plan = replace(FIRST, n_blocks=0, keep="round", keep_rounds=(1,), round=2)
    current = Current(
        plan,
        is_split=True,
        sources=there(2),
        count_open=lambda number: 1,
        count_rows=lambda kept: RowNumbers(10, 1, 9),
    )
    decision = decide(DESIRED, current, keep_going=True)
    assert decision.split and decision.plan.round == 3
    assert decision.plan.n_blocks == 1 and decision.plan.same_space


def test_what_is_evaluated_in_a_queue_is_not_divided_anew() -> None:
    current = replace(KILLED, has_jobs=True)
    desired = replace(DESIRED, max_jobs=5)
    assert decide(desired, current, keep_going=False).plan.round == 1
    current = replace(current, has_jobs=False)
    assert decide(desired, current, keep_going=False).plan.round == 2


def test_a_split_in_a_queue_is_waited_for() -> None:
    current = replace(UNSPLIT, has_jobs=True)
    decision = decide(DESIRED, current, keep_going=False)
    assert decision.plan == FIRST
    assert steps(decision) == (True, (0, 1), True)


def test_jobs_of_other_code_are_not_waited_for() -> None:
    current = replace(KILLED, has_jobs=True)
    decision = decide(replace(DESIRED, fingerprint="new"), current, keep_going=False)
    assert decision.plan.round == 2


RERUN = replace(DESIRED, rerun="x < 3")
AGAIN = decide(replace(RERUN, token="again"), DONE, keep_going=False).plan
AGAIN_DONE = replace(
    DONE, plan=AGAIN, merged="again", sources=there(2), count_open=lambda number: 0
)
AGAIN_KILLED = replace(
    AGAIN_DONE,
    merged=None,
    missing_blocks=(1,),
    sources=there(2, 1),
    count_open=lambda number: 1,
)
AGAIN_UNSPLIT = replace(AGAIN_KILLED, is_split=False, sources=there(1))


@both
def test_what_is_chosen_is_evaluated_in_a_round_of_the_same_space(
    keep_going: bool,
) -> None:
    decision = decide(RERUN, DONE, keep_going=keep_going)
    plan = decision.plan
    assert (plan.round, plan.keep_rounds, plan.same_space) == (2, (1,), True)
    assert (plan.rerun, plan.takes_replaced) == ("x < 3", False)
    assert plan.keeps_all == keep_going
    assert decision.split and not decision.is_dirty


def test_a_run_goes_on_with_what_is_evaluated_again() -> None:
    decision = decide(DESIRED, AGAIN_KILLED, keep_going=False)
    assert steps(decision) == (False, (1,), True)
    assert (decision.plan.round, decision.plan.rerun) == (2, "x < 3")
    unsplit = decide(DESIRED, AGAIN_UNSPLIT, keep_going=False).plan
    assert (unsplit.round, unsplit.rerun, unsplit.keep_rounds) == (2, "x < 3", (1,))


def test_what_is_divided_anew_is_still_evaluated_again() -> None:
    desired = replace(DESIRED, max_jobs=5)
    plan = decide(desired, AGAIN_KILLED, keep_going=False).plan
    assert (plan.round, plan.keep_rounds, plan.rerun) == (3, (2, 1), "x < 3")
    assert not plan.takes_replaced


@pytest.mark.parametrize("current", [AGAIN_KILLED, AGAIN_UNSPLIT])
def test_to_continue_takes_the_rows_back_that_were_to_be_evaluated_again(
    current: Current,
) -> None:
    plan = decide(DESIRED, current, keep_going=True).plan
    assert plan.takes_replaced and plan.rerun is None
    assert 1 in plan.keep_rounds
    # It goes on so if it is killed before the split.
    killed = replace(AGAIN_UNSPLIT, plan=plan)
    plan = decide(DESIRED, killed, keep_going=False).plan
    assert plan.takes_replaced and plan.rerun is None


def test_once_it_is_done_nothing_is_evaluated_again() -> None:
    for keep_going in (False, True):
        assert decide(DESIRED, AGAIN_DONE, keep_going=keep_going).is_done
    changed = replace(DESIRED, space_source="edited")
    plan = decide(changed, AGAIN_DONE, keep_going=False).plan
    assert plan.rerun is None and not plan.takes_replaced


def test_marks_without_a_plan_are_evaluated_unless_all_is_kept() -> None:
    marked = replace(DONE, has_marks=True)
    plan = decide(DESIRED, marked, keep_going=False).plan
    assert (plan.round, plan.keep_rounds, plan.rerun) == (2, (1,), "")
    assert decide(DESIRED, marked, keep_going=True).is_done


def test_another_order_divides_anew_what_is_missing() -> None:
    desired = replace(DESIRED, order="even")
    assert desired.division != DESIRED.division
    # Plans of before have none.
    assert "space" not in DESIRED.division
    assert decide(desired, Current(), keep_going=False).plan.order == "even"


PART = ("a=1",)
OF_PART = replace(DONE, plan=replace(FIRST, part=PART), is_part=True)


def counted(n_open: int) -> Callable[[KeptRows], RowNumbers]:
    return lambda kept: RowNumbers(5, n_open, 5 - n_open, is_part=True)


@both
def test_the_same_part_is_done_without_a_look_at_its_rows(keep_going: bool) -> None:
    desired, current = (
        replace(DESIRED, part=PART),
        replace(OF_PART, count_rows=unexpected),
    )
    assert decide(desired, current, keep_going=keep_going).is_done


@both
@pytest.mark.parametrize("part", [("a=2",), ()])
def test_what_is_missing_of_another_part_gets_a_round(
    part: tuple[str, ...], keep_going: bool
) -> None:
    current = replace(OF_PART, count_rows=counted(2))
    decision = decide(replace(DESIRED, part=part), current, keep_going=keep_going)
    assert steps(decision) == (True, (0, 1), True)
    plan = decision.plan
    assert (plan.part, plan.round, plan.keep_rounds) == (part, 2, (1,))
    assert plan.same_space
    assert not decision.is_dirty


@both
@pytest.mark.parametrize("part", [("a=2",), ()])
def test_another_part_that_is_there_is_done(
    part: tuple[str, ...], keep_going: bool
) -> None:
    current = replace(OF_PART, count_rows=counted(0))
    decision = decide(replace(DESIRED, part=part), current, keep_going=keep_going)
    assert decision.is_done
    current = replace(current, has_result=False)
    decision = decide(replace(DESIRED, part=part), current, keep_going=keep_going)
    assert steps(decision) == (False, (), True)


def test_rows_of_a_killed_part_are_merged_for_one_that_is_there() -> None:
    current = replace(OF_PART, missing_blocks=(1,), merged=None, count_rows=counted(0))
    decision = decide(replace(DESIRED, part=("a=2",)), current, keep_going=False)
    assert steps(decision) == (True, (), True)


def test_after_the_whole_each_part_is_done() -> None:
    current = replace(DONE, count_rows=unexpected)
    assert decide(replace(DESIRED, part=PART), current, keep_going=False).is_done


def test_all_of_a_space_is_no_part() -> None:
    whole = replace(OF_PART, count_rows=lambda kept: RowNumbers(10, 2, 8))
    decision = decide(replace(DESIRED, part=("a=2",)), whole, keep_going=False)
    assert decision.plan.part == ()
    desired = replace(DESIRED, part=PART, n_whole=10)
    assert decide(desired, Current(), keep_going=False).plan.part == ()
    desired = replace(desired, n_items=4)
    first = decide(desired, Current(), keep_going=False)
    assert (first.plan.part, first.plan.n_items) == (PART, 4)


def test_jobs_that_divide_another_part_are_not_those_of_a_round() -> None:
    current = replace(UNSPLIT, has_jobs=True)
    decision = decide(replace(DESIRED, part=PART), current, keep_going=False)
    assert decision.plan.round == 2
    assert decide(DESIRED, current, keep_going=False).plan.round == 1


def test_a_part_of_which_nothing_is_known_any_more_is_looked_at() -> None:
    lost = replace(DONE, is_part=True, count_rows=counted(3))
    assert decide(DESIRED, lost, keep_going=False).split
    lost = replace(OF_PART, is_part=False, count_rows=counted(3))
    assert decide(DESIRED, lost, keep_going=False).split


def test_only_rows_of_the_space_as_it_is_now_tell_of_it() -> None:
    own = RowSource("other code", DESIRED.space_source)
    current = Current(sources={4: own, 3: RowSource("c", "other space"), 1: own})
    assert current.rounds_of(DESIRED) == (4, 1)
    plan = replace(decide(DESIRED, Current(), keep_going=False).plan, superseded=(4,))
    assert replace(current, plan=plan).rounds_of(DESIRED) == (1,)
