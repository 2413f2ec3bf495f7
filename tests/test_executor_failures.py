"""What the executor does when stages fail: tries them again, puts back, tells the first reason."""

from pathlib import Path
from typing import Any

import pytest
from hera.workflows import Input, Output

from steps.lib import ending, executor
from steps.lib.afterwards import afterwards
from steps.lib.blocks import write_block
from steps.lib.database import open_database
from steps.lib.errors import OwnershipError, RefusedError, TransientError
from steps.lib.plan import make_plan
from steps.lib.stage import stage
from steps.lib.store import open_store
from steps.pipeline import Stage
from tests.jobs import job


class StubInput(Input):
    """Nothing: stages of these tests only fail."""


class StubOutput(Output):
    """Nothing."""


def failing(retries: int, error: Exception, said: list[str]) -> Stage:
    """A stage that always fails, and says so."""

    @stage(deadline_s=1, retries=retries)
    def fails(stub_input: StubInput) -> StubOutput:
        said.append(type(error).__name__)
        raise error

    return Stage(fails, always=True)


@pytest.mark.parametrize("retries", [0, 2])
def test_a_stage_is_tried_as_often_as_it_declares(
    monkeypatch: pytest.MonkeyPatch, retries: int
) -> None:
    said: list[str] = []
    monkeypatch.setattr(executor, "BLOCK", [failing(retries, TransientError("no answer"), said)])
    of = make_plan(job(("host-network",))).blocks[0]
    run = executor._BlockRun(of, lambda _: None)
    run.put_back()
    assert (said, run.failed) == (["TransientError"] * (retries + 1), True)


def test_a_process_that_was_told_to_end_tries_each_stage_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    monkeypatch.setattr(executor, "BLOCK", [failing(2, TransientError("no answer"), said)] * 2)
    monkeypatch.setattr(ending, "is_told", lambda: True)
    executor._BlockRun(make_plan(job(("host-network",))).blocks[0], lambda _: None).put_back()
    assert said == ["TransientError"] * 2


def test_every_stage_that_puts_back_is_tried_whatever_the_ones_before_raise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    errors = (OwnershipError("taken"), KeyError("a mistake of ours"), RefusedError("no"))
    monkeypatch.setattr(executor, "BLOCK", [failing(0, error, said) for error in errors])
    of = make_plan(job(("host-network",))).blocks[0]
    with pytest.raises(OwnershipError):
        executor._BlockRun(of, lambda _: None).put_back()
    assert said == ["OwnershipError", "KeyError", "RefusedError"]


def test_an_error_of_cleaning_up_does_not_hide_the_first(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def clean_up() -> None:
        raise TransientError("cannot be reached")

    with pytest.raises(RefusedError, match="first"), afterwards(clean_up, "the pod stays"):
        raise RefusedError("first")
    assert "the pod stays: cannot be reached" in caplog.text
    with pytest.raises(TransientError), afterwards(clean_up, "the pod stays"):
        pass


@pytest.mark.namespaces
def test_a_block_that_was_collected_at_the_second_try_is_not_failed_by_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []

    def write_at_second_try(*row: Any) -> None:
        tries.append("try")
        if len(tries) == 1:
            raise TransientError("the store does not answer")
        write_block(*row)

    monkeypatch.setattr("steps.collect.write_block", write_at_second_try)
    of, store = job(("host-network",), target="tries"), str(tmp_path)
    assert executor.run_campaign(of, store, lambda _: None) == []
    rows = open_database(open_store(store)).execute("select status, reason from blocks").fetchall()
    assert (len(tries), rows) == (2, [("ok", None)])
