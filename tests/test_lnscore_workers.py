"""One bad task costs one result, whatever it does to its process."""

import pytest

from lnscore.workers import Limits, TaskResult, Workers
from worker_tasks import behave

TASKS = ["a", "crash", "b", "hang", "c", "bomb", "d", "refuse", "e", "defect", "f"]


@pytest.fixture(scope="module", params=[1, 2], ids=["one job", "two jobs"])
def outcomes(request) -> dict[str, TaskResult]:
    with Workers(Limits(jobs=request.param, memory_mb=2048, timeout_s=2)) as workers:
        results = list(workers.map(behave, TASKS))
    assert [done.task for done in results] == TASKS
    return {done.task: done for done in results}


@pytest.mark.parametrize("task", ["a", "b", "c", "d", "e", "f"])
def test_good_tasks_finish_beside_bad_ones(outcomes, task):
    assert outcomes[task].value == task.upper()


@pytest.mark.parametrize(
    ("task", "code"),
    [("crash", "W02"), ("hang", "W01"), ("bomb", "W03"), ("refuse", "G99"), ("defect", "W04")],
)
def test_a_bad_task_is_one_refusal_with_its_code(outcomes, task, code):
    assert outcomes[task].value is None
    assert outcomes[task].refusal.code == code


def test_an_unforeseen_error_keeps_its_traceback(outcomes):
    assert "ZeroDivisionError: one of ours" in outcomes["defect"].traceback
    assert outcomes["refuse"].traceback is None
