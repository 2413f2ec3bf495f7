"""Known differences that really run: what is judged of them, and that the rules can be put in."""

import subprocess
from pathlib import Path

from benchmarks.differences import CAMPAIGN, PAIRS, TABLE, OwnCatalog, judge_pairs, rules, table
from steps.lib.catalog import load_job
from steps.lib.store import open_store
from tests.store_rows import put_campaign
from tests.test_comparing import SAME, SLOW, put_block


def test_every_side_is_a_profile_of_the_campaign() -> None:
    job = load_job(CAMPAIGN, OwnCatalog())
    assert {side for pair in PAIRS.values() for side in pair} == {p.name for p in job.profiles}


def test_a_pair_is_judged_by_four_rules_side_by_side(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    put_campaign(store, "differences", method_version=2)
    for profile, rates in (("base", SAME), ("base-again", SAME[::-1]), ("offload-off", SLOW)):
        for repeat, rate in enumerate(rates, 1):
            same = {"campaign": "differences", "profile": profile}
            put_block(store, "a", repeat, rate, block=f"a.{profile}.r{repeat}", **same)
    same_sides, slower = judge_pairs(str(tmp_path))
    assert not any(same_sides.found.values())
    assert all(slower.found.values())
    assert "| segmentation offload off |" in table([same_sides, slower])


def test_the_kernel_takes_the_rules_and_lets_them_go() -> None:
    steps = f'nft "$0"; nft list ruleset; nft "delete table {TABLE}"; echo left:; nft list ruleset'
    command = ["unshare", "--net", "sh", "-ec", steps, rules()]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    listed, _, left = said.partition("left:")
    assert (listed.count("tcp dport"), left.strip()) == (1000, "")
