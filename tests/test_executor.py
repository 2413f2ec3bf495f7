"""The main job, for real: a small campaign runs, is resumed, is killed, and leaves nothing."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
import zstandard

from steps.lib.catalog import Job
from steps.lib.database import open_database
from steps.lib.errors import InputError
from steps.lib.executor import Event, Start, run_campaign
from steps.lib.settle import release, settle
from steps.lib.state import BlockState, Failure
from steps.lib.store import open_store
from steps.lib.targets import open_target
from tests.jobs import LENIENT, RR, TCP, UDP, UDP_RR, job, matrix

pytestmark = pytest.mark.namespaces

TUNED = "net.core.netdev_max_backlog"


def select(store: Path, statement: str) -> list[tuple[Any, ...]]:
    return open_database(open_store(str(store))).execute(statement).fetchall()


TIMING = ("duration: ", "cpu-window: ", "intervals-enough: ")
"""Reasons that a busy machine gives to one-second cells; they say nothing about the pipeline."""


def wrong(store: Path) -> list[tuple[Any, ...]]:
    """Measurements that are neither ok nor a victim of the machine."""
    rows = select(store, "select plugin, cell, status, reason from measurements")
    return [r for r in rows if r[2] != "ok" and not str(r[3]).startswith(TIMING)]


def events(of: Job, store: Path) -> list[Event | Start]:
    seen: list[Event | Start] = []
    run_campaign(of, str(store), seen.append)
    return seen


def leftovers(name: str) -> list[str]:
    """All of the target that is still on the machine."""
    found = [str(p) for p in Path("/run/netns").glob(f"cnib-{name}-*")]
    found += [str(p) for p in Path("/run/cnibench").glob(f"{name}/*") if p.name != "lock"]
    mounts = Path("/proc/mounts").read_text().splitlines()
    cgroups = [line.split()[1] for line in mounts if line.split()[2] == "cgroup2"]
    found += [str(p) for c in cgroups for p in Path(c).glob(f"cnibench-{name}*")]
    return found


@pytest.fixture
def name(request: pytest.FixtureRequest) -> Iterator[str]:
    """A target of the test's own; whatever happens, it and its settings are taken down."""
    name = "exec"
    yield name
    release(open_target(job(("host-network",), target=name).campaign.target))
    assert leftovers(name) == []


def test_a_campaign_gives_one_row_for_each_cell_and_a_resume_adds_none(
    name: str, tmp_path: Path
) -> None:
    of = matrix(TCP, UDP, RR, paths=["in-pod", "cross-node"], reference=TCP)
    small = job(("host-network", "bridge-vxlan"), of=of, target=name)
    events(small, tmp_path)
    rows = select(tmp_path, "select plugin, cell from measurements")
    assert len(rows) == len(set(rows)) == 2 * (6 + 2)
    assert wrong(tmp_path) == []
    assert select(tmp_path, "select plugin, status from blocks order by 1") == [
        ("bridge-vxlan", "ok"),
        ("host-network", "ok"),
    ]
    again = events(small, tmp_path)
    assert again == [Start(0, 0, 0.0)]
    assert len(select(tmp_path, "select * from measurements")) == 16


def test_numbers_of_a_row_are_there_and_agree_with_each_other(name: str, tmp_path: Path) -> None:
    events(job(("bridge-routes",), of=matrix(TCP, UDP, RR, UDP_RR), target=name), tmp_path)
    contradictions = select(
        tmp_path,
        """
        select cell from measurements
        where status = 'ok' and (cpu_busy_s <= 0 or cpu_busy_s > cpus * cpu_window_s or packets <= 0
            or abs(cycles_per_packet * packets / cycles - 1) > 1e-6 or uplink_dropped_packets isnull
            or (traffic not like '%-rr' and throughput_bits_per_s is null)
            or (traffic like '%-rr' and (transactions_per_s is null or latency_us_p99 is null))
            or (traffic = 'udp-stream' and (lost_percent is null or offered_bits_per_s is null))
            or (traffic = 'udp-rr' and (lost_percent is null or latency_us_p99_9 is null))
            or cpu_client_s <= 0 or cpu_server_s <= 0 or client_start_ms <= 0
            or (cpu_components is null) = (cpu_components_absent_because is null)
            or cpu_sampling_hz <> 99 or client_interface_packets <= 0 or cpu_plugin_s <> 0
            or abs(list_sum([n.busy_s for n in cpu_by_node]) - cpu_busy_s) > 1e-6
            or abs(list_sum([n.cycles for n in cpu_by_node]) / cycles - 1) > 1e-6)
        """,
    )
    assert contradictions == []
    assert wrong(tmp_path) == []
    sampled = select(
        tmp_path,
        "select sum(part.samples) from measurements, unnest(cpu_components) as u(part) "
        "where status = 'ok' group by measurement_id having sum(part.samples) > 20",
    )
    assert len(sampled) == len(select(tmp_path, "select 1 from measurements where status = 'ok'"))
    assert select(tmp_path, "select count(*) from intervals")[0][0] >= 3
    counts = "select sum(transactions), any_value(transactions_per_s * m.duration_s)"
    joined = "from histograms join measurements m using (measurement_id)"
    ((in_buckets, counted),) = select(tmp_path, f"{counts} {joined}")
    assert in_buckets == pytest.approx(counted)


def test_the_goodput_fits_the_bytes_that_the_intervals_report(name: str, tmp_path: Path) -> None:
    events(job(("bridge-routes",), of=matrix(UDP), target=name), tmp_path)
    ((ratio,),) = select(
        tmp_path,
        """
        select any_value(m.throughput_bits_per_s) * (1 + any_value(m.lost_percent) / 100)
            / avg(i.bits_per_s)
        from measurements m join intervals i using (measurement_id)
        """,
    )
    assert ratio == pytest.approx(1, abs=0.05)


def test_a_profile_is_in_force_while_cells_run_and_gone_after_the_campaign(
    name: str, tmp_path: Path
) -> None:
    setting = Path("/proc/sys") / TUNED.replace(".", "/")
    before = setting.read_text()
    tuned = job(("bridge-routes",), profiles=("dakic-2-kernel",), target=name)
    events(tuned, tmp_path)
    assert setting.read_text() == before
    assert wrong(tmp_path) == []
    changed = select(
        tmp_path,
        f"select distinct t.after from nodes, unnest(tuned) as u(t) where t.name = '{TUNED}'",
    )
    assert changed == [("2000",)]
    assert select(tmp_path, "select tune_s > 0, restore_s > 0 from blocks") == [(True, True)]


def test_what_a_killed_run_left_on_another_target_is_undone_first(
    name: str, tmp_path: Path
) -> None:
    setting = Path("/proc/sys") / TUNED.replace(".", "/")
    before = setting.read_text()
    arguments = [str(tmp_path / "killed"), "other"]
    child = start_child(*arguments)
    deadline = time.monotonic() + 30
    while setting.read_text() == before and time.monotonic() < deadline:
        time.sleep(0.05)
    child.kill()
    child.wait()
    assert setting.read_text() != before, "killed too early to show anything"
    events(job(("host-network",), target=name), tmp_path / "next")
    assert setting.read_text() == before
    assert leftovers("other") == []
    rows = select(tmp_path / "killed", "select status, reason from blocks")
    assert rows == [("failed", "interrupted before its end")]


@contextmanager
def stranger_at_work() -> Iterator[None]:
    """Somebody else's program on each CPU but one."""
    # Its parent ends at once: a child of this process would count as cnibench's own.
    loop = [sys.executable, "-c", "while True: pass"]
    command = ["sh", "-c", '"$@" >/dev/null 2>&1 & echo $!', "sh", *loop]
    count = max(1, (os.cpu_count() or 1) - 1)
    started = [subprocess.run(command, capture_output=True, check=True) for _ in range(count)]
    try:
        yield
    finally:
        for each in started:
            os.kill(int(each.stdout), signal.SIGKILL)


def test_a_busy_node_has_no_idle_baseline_whatever_cells_may_start_with(
    name: str, tmp_path: Path
) -> None:
    with stranger_at_work():
        events(job(("host-network",), target=name), tmp_path)
    assert set(select(tmp_path, "select cpu_idle_baseline_s from measurements")) == {(None,)}
    assert select(tmp_path, "select idle_busy_cpus from blocks") == [(None,)]


def test_a_noisy_slot_is_a_row_with_every_rejected_try(name: str, tmp_path: Path) -> None:
    limits = LENIENT.model_dump() | {"foreign_cpu_percent_max": 15, "attempts_max": 2}
    noticing = job(("host-network",), of=matrix(TCP, limits=limits), target=name)
    with stranger_at_work():
        events(noticing, tmp_path)
    seen = "status, attempt, len(rejected_attempts), throughput_bits_per_s, split(reason, ':')[1]"
    found = select(tmp_path, f"select {seen} from measurements")
    assert found == [("noisy", 2, 2, None, "foreign-cpu")]
    events(noticing, tmp_path / "alone")
    ((why,),) = select(tmp_path / "alone", "select coalesce(reason, '') from measurements")
    assert "foreign-cpu" not in why


def kill_the_client(until: threading.Event) -> None:
    """End the first client in the middle of its run, as an out-of-memory kill would."""
    while not until.wait(0.05):
        for process in psutil.process_iter(["cmdline"]):
            if (process.info["cmdline"] or [""])[:2] == ["iperf3", "--client"]:
                until.wait(0.4)
                process.kill()
                return


def test_a_tool_that_is_killed_gives_an_invalid_row_and_its_output_is_kept(
    name: str, tmp_path: Path
) -> None:
    done = threading.Event()
    killer = threading.Thread(target=kill_the_client, args=(done,))
    killer.start()
    events(job(("host-network",), target=name), tmp_path)
    done.set()
    killer.join()
    ((status, reason, throughput, identity),) = select(
        tmp_path, "select status, reason, throughput_bits_per_s, measurement_id from measurements"
    )
    assert (status, throughput) == ("invalid", None)
    assert reason.startswith("document-complete: ")
    (raw,) = tmp_path.glob(f"raw/*/*/*{identity}*")
    assert b"--json-stream" in zstandard.ZstdDecompressor().decompress(raw.read_bytes())


def test_a_changed_campaign_under_an_old_name_is_refused(name: str, tmp_path: Path) -> None:
    events(job(("host-network",), target=name), tmp_path)
    with pytest.raises(InputError, match="Give the campaign a new `name`"):
        events(job(("host-network",), target=name, seed=2), tmp_path)


def test_a_campaign_that_is_refused_leaves_neither_its_own_nor_touches_anothers(
    name: str, tmp_path: Path
) -> None:
    small = job(("host-network",), target=name)
    events(small, tmp_path)
    refused = job(("host-network",), target=name, seed=2)
    target = open_target(small.campaign.target)
    target.prepare()
    with pytest.raises(InputError):
        events(refused, tmp_path)
    assert leftovers(name) == []
    target.prepare()
    theirs = block_state("other", tmp_path)
    target.save_state(theirs)
    with pytest.raises(InputError):
        events(refused, tmp_path)
    assert target.load_state() == theirs
    assert select(tmp_path, "select campaign from blocks") == [("test",)]


def block_state(campaign: str, store: Path) -> BlockState:
    """Of a block that is under way."""
    return BlockState(
        campaign=campaign,
        block="host-network.base.r1",
        plugin="host-network",
        profile="base",
        repeat=1,
        store=str(store),
        install_id="one",
        boot_id="one",
        started_at=datetime.now(UTC),
        environment_fingerprint="one",
        inventory_before={},
    )


def test_an_interrupted_block_tells_what_had_failed_before(name: str, tmp_path: Path) -> None:
    target = open_target(job(("host-network",), target=name).campaign.target)
    target.prepare()
    failure = Failure(stage="remove_plugin", message="node n2 does not report")
    target.save_state(block_state("test", tmp_path).model_copy(update={"failures": (failure,) * 3}))
    settle(target)
    said = "interrupted before its end; remove_plugin: node n2 does not report"
    assert select(tmp_path, "select reason from blocks") == [(said,)]


def test_a_failing_stage_fails_its_block_with_the_reason_and_the_next_block_runs(
    name: str, tmp_path: Path
) -> None:
    of = job(("host-network",), profiles=("base", "dakic-2-kernel"), target=name)
    entry = of.profiles[1].entries[4]
    impossible = entry.model_copy(update={"value": "not a number"})
    profiles = (of.profiles[0], of.profiles[1].model_copy(update={"entries": (impossible,)}))
    events(of.model_copy(update={"profiles": profiles}), tmp_path)
    found = select(tmp_path, "select profile, status, reason from blocks order by profile")
    assert found[0] == ("base", "ok", None)
    assert found[1][1] == "failed"
    assert "tcp_window_scaling" in found[1][2]
    assert select(tmp_path, "select profile from measurements") == [("base",)]


CHILD = """
import sys
from tests.jobs import TCP, RR, job, matrix
from steps.lib.executor import run_campaign
of = matrix(TCP, RR, paths=["same-node", "cross-node"])
plugins = ("bridge-routes", "ptp-vxlan")
of = job(plugins, profiles=("dakic-2-kernel",), of=of, target=sys.argv[2])
run_campaign(of, sys.argv[1], lambda event: None)
"""


def start_child(store: str, target: str) -> subprocess.Popen[bytes]:
    """A campaign in a process of its own, to be ended."""
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, store, target],
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_campaign_that_is_ended_anywhere_goes_on_and_nothing_is_lost_or_doubled(
    name: str, tmp_path: Path, how: signal.Signals
) -> None:
    setting = Path("/proc/sys") / TUNED.replace(".", "/")
    before = setting.read_text()
    store = tmp_path / "results"
    delays_s = (2.0, 3.5, 5.5, 8.0)  # What is imported before may swallow an interrupt.
    for delay_s in delays_s:
        child = start_child(str(store), name)
        time.sleep(delay_s)
        child.send_signal(how)
        child.wait(timeout=30)
        if how == signal.SIGINT:
            assert leftovers(name) == [], "an interrupt puts everything back by itself"
            assert setting.read_text() == before
    assert start_child(str(store), name).wait(timeout=120) == 0
    assert setting.read_text() == before
    keys = select(store, "select block, cell from measurements")
    assert len(keys) == len(set(keys)) == 8
    assert wrong(store) == []
    orphans = "select count(*) from intervals anti join measurements using (measurement_id)"
    assert select(store, orphans) == [(0,)]
