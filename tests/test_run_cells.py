from steps.run_cells import NOTHING, SLOW_STORE_S, Tally


def test_a_group_that_ended_says_its_cells_by_status() -> None:
    tally = Tally(3)
    assert tally.summary == NOTHING
    tally.statuses.update(["ok", "ok", "noisy"])
    assert tally.summary == "2 ok, 1 noisy"


def test_a_group_that_failed_says_how_many_cells_are_safe() -> None:
    tally = Tally(3)
    assert tally.stored == "stored: 0 of 3 cells"
    tally.statuses["ok"] += 1
    assert tally.stored == "stored: 1 of 3 cells"


def test_a_slow_store_is_said_either_way() -> None:
    tally = Tally(3, storing_s=2 * SLOW_STORE_S + 1)
    tally.statuses["ok"] += 2
    said = "; the store was slow, or away: 2.5 s to store a cell"
    assert tally.summary == f"2 ok{said}"
    assert tally.stored == f"stored: 2 of 3 cells{said}"
    tally.statuses["ok"] += 1
    assert tally.summary == "3 ok", "a cell that is stored in time is nothing to say"
