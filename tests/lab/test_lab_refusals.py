"""What a lab cannot work with is said at once, with what to do about it, and nothing is made."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import status
from lab.groups import Groups
from tests.lab.labs import LIFE, ROOT, call, command

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module", autouse=True)
def nothing_made() -> Iterator[None]:
    yield
    assert call(LIFE, "status").returncode == status.NOTHING_HERE
    assert not Groups(LIFE.group).root.exists()


def test_this_machine_can_run_the_lab() -> None:
    done = call(LIFE, "check")
    assert done.returncode == 0, done.stderr


def test_everything_that_is_missing_is_named_before_anything_is_made(tmp_path: str) -> None:
    done = call(LIFE, "up", CNIBENCH_TOOLS=str(tmp_path))
    assert done.returncode == 2
    assert "has no etcd, kube-apiserver, kube-controller-manager" in done.stderr
    assert "cni-plugins/loopback does not exist; run `make setup`" in done.stderr
    assert "images.json does not exist: run `lab/setup.sh`" in done.stderr


SMALL_DISK = "mount -t tmpfs -o size=1M tmpfs /mnt"
NO_OVERLAY_DISK = """
mount -t tmpfs tmpfs /mnt && mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay /mnt/root -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work
mount --move /mnt/root /mnt
"""
LITTLE_MEMORY = """
sed "s/^MemAvailable: .*/MemAvailable: 1024 kB/" /proc/meminfo >/mnt/memory
mount --bind /mnt/memory /proc/meminfo
"""
ONLY_VERSION_2 = "umount --recursive /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup"

with_version_1 = pytest.mark.skipif(
    not Path("/sys/fs/cgroup/memory").is_dir(), reason="controllers are in no version 1 hierarchy"
)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (SMALL_DISK, "/mnt/lab has 1 MiB free and needs 2048: make room, or set CNIBENCH_CACHE"),
        (NO_OVERLAY_DISK, "no overlay can be mounted on /mnt/lab"),
        (f"{SMALL_DISK}\n{LITTLE_MEMORY}", "1 MiB of memory are free and 1024 are needed"),
        pytest.param(
            "umount /sys/fs/cgroup/memory",
            "no version 1 control group hierarchy has memory",
            marks=with_version_1,
        ),
        pytest.param(
            ONLY_VERSION_2,
            "cgroup2 at /sys/fs/cgroup has no cpu, cpuset, memory, pids",
            marks=with_version_1,
        ),
    ],
)
def test_a_machine_that_does_not_fit_is_refused(change: str, message: str) -> None:
    """In a mount namespace of its own, the machine looks different."""
    script = f'set -e; {change}\nCNIBENCH_CACHE=/mnt exec "$@"'
    own = ["unshare", "--mount", "--", "sh", "-c", script, "sh"]
    done = subprocess.run(
        [*own, *command(LIFE, "up", "--only", "target")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, message in done.stderr) == (2, True), done.stderr


def test_too_few_inotify_instances_are_a_problem() -> None:
    """A user namespace has a limit of its own."""
    ask = "from lab import layout, requirements as r; print(*r.inotify_problems(layout.CLUSTERS))"
    script = 'echo 3 >/proc/sys/user/max_inotify_instances; exec "$@"'
    own = ["unshare", "--user", "--map-root-user", "--", "sh", "-ec", script, "sh"]
    said = subprocess.check_output([*own, sys.executable, "-c", ask], cwd=ROOT, text=True)
    assert said.startswith("3 inotify instances are left to this user and 60 are needed: sysctl")


def test_a_port_that_somebody_else_has_is_refused() -> None:
    with socket.create_server(("127.0.0.1", LIFE.port)):
        done = call(LIFE, "up")
    assert done.returncode == 2
    assert f"{LIFE.port} of 127.0.0.1, the port of target, is taken" in done.stderr
    assert "the port of mgmt" not in done.stderr


@pytest.mark.parametrize(
    "arguments", [("kill-node", "n1"), ("restart-apiserver", "target"), ("kube-proxy", "off")]
)
def test_a_cluster_that_is_not_there_is_not_broken(arguments: tuple[str, ...]) -> None:
    done = call(LIFE, *arguments)
    message = "the lab 'life' has no cluster target: bring it up by `python -m lab up`"
    assert (done.returncode, done.stderr) == (2, f"error: {message}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("kill-node", "n3"), "there is no node 'n3' in the lab; there are: n1, n2, m1"),
        (
            ("kube-proxy", "off", "--mode", "iptables"),
            "--mode is of a kube-proxy that is switched on: leave it out",
        ),
        (("--name", "a-b", "up"), "'a-b' cannot name a lab: write 1 to 12 of a-z and 0-9"),
    ],
)
def test_wrong_words_are_refused(arguments: tuple[str, ...], message: str) -> None:
    done = call(LIFE, *arguments)
    assert (done.returncode, done.stderr) == (2, f"error: {message}\n")
