"""Processors that come and go while a profile is applied, on a machine whose files are folders."""

from pathlib import Path

import pytest

from steps.lib.errors import RefusedError
from steps.lib.restoring import restore
from steps.lib.setting import Setting
from steps.lib.targets.namespaces.tuning import links
from steps.lib.targets.protocol import Node
from steps.lib.tuning import apply_profile, read_back, unsupported
from tests.trees import Trees
from tests.tuning import STATE, entry, profile

CPU = "devices/system/cpu"
CONTROL, ONLINE = f"{CPU}/smt/control", f"{CPU}/online"
ALL, FIRST = "0,2,4,6\n", "0,2\n"
"""Processors 4 and 6 are the second threads of 0 and 2; odd numbers there are none."""


class Machine(Trees):
    """Two cores of two threads, which go and come with SMT, as the kernel has it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "n1")
        self.make(CONTROL, "on")
        self.make(ONLINE, ALL)
        for cpu, siblings in ((0, "0,4"), (2, "2,6"), (4, "0,4"), (6, "2,6")):
            self.make(f"{CPU}/cpu{cpu}/topology/thread_siblings_list", siblings)
            self.make(f"{CPU}/cpufreq/policy{cpu}/scaling_governor", "powersave")
            self.make(
                f"{CPU}/cpufreq/policy{cpu}/scaling_available_governors", "powersave performance"
            )
        for number, at in (("40", "0,2,4,6"), ("41", "4"), ("42", "6")):
            self.make(f"class/net/eth0/device/msi_irqs/{number}", "msix")
            self.irq(number).parent.mkdir(parents=True)
            self.irq(number).write_text(at)
        for queue in ("rx-0", "rx-1"):
            self.make(f"class/net/eth0/queues/{queue}/rps_cpus", "00")

    def irq(self, number: str) -> Path:
        return self.folder / "irq" / number / "smp_affinity_list"

    def irqs(self) -> dict[str, str]:
        return {number: self.irq(number).read_text() for number in ("40", "41", "42")}

    def write_setting(self, node: Node, setting: Setting, value: str) -> None:
        online = self.texts(ONLINE)[0]
        if setting.kind == "irq_affinity" and not set(value.split(",")) & set(
            online.strip().split(",")
        ):
            raise RefusedError(f"{setting} cannot be set to {value!r}: Invalid argument")
        super().write_setting(node, setting, value)
        if setting.kind == "smt":
            self.make(ONLINE, ALL if value == "on" else FIRST)
            for cpu in (4, 6):
                self.switch(self.file("n1", f"{CPU}/cpufreq/policy{cpu}/scaling_governor"), value)
            for number, at in self.irqs().items():
                if value == "off" and set(at.split(",")) <= {"4", "6"}:
                    self.irq(number).write_text("0,2")

    def switch(self, file: Path, value: str) -> None:
        """Make a file unreadable or readable: one of an inactive processor is EBUSY to read."""
        if value == "off":
            file.rename(file.with_suffix(".kept"))
            file.mkdir()
        else:
            file.rmdir()
            file.with_suffix(".kept").rename(file)


@pytest.fixture
def processors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(links, "_IRQ", tmp_path / "irq")
    return Machine(tmp_path)


GOVERNOR, SMT = entry("cpu_governor", "performance"), entry("smt", "off")


def governors(processors: Machine) -> list[str]:
    folder = processors.file("n1", f"{CPU}/cpufreq")
    return [f.read_text() for f in sorted(folder.glob("*/scaling_governor")) if f.is_file()]


def test_what_depends_on_processors_is_looked_up_after_smt_is_off(processors: Machine) -> None:
    """InfraBuilder's order: the governor first, SMT after it, the interrupts last."""
    tuned = profile(GOVERNOR, SMT, entry("irq_affinity", "all"), entry("rps", "all"))
    assert unsupported(processors.target, tuned) is None
    before = processors.irqs()
    state = apply_profile(processors.target, STATE, tuned)
    assert read_back(processors.target, state).wrong == ()
    assert governors(processors) == ["performance", "performance"]
    assert processors.irqs() == {"40": "0", "41": "2", "42": "0"}
    assert processors.texts("class/net/eth0/queues/rx-1/rps_cpus") == ["00000005"]
    state, problems = restore(processors.target, state)
    assert (problems, state.journal) == ([], ())
    assert processors.texts(CONTROL) == ["on"]
    assert governors(processors) == ["powersave"] * 4
    assert processors.irqs() == before


def test_interrupts_of_processors_that_go_offline_are_moved_and_come_back(
    processors: Machine,
) -> None:
    state = apply_profile(processors.target, STATE, profile(SMT))
    assert processors.irqs() == {"40": "0,2,4,6", "41": "0,2", "42": "0,2"}
    assert [(e.kind, e.name) for e in state.journal][:2] == [
        ("irq_affinity", "41"),
        ("irq_affinity", "42"),
    ]
    assert restore(processors.target, state)[1] == []
    assert processors.irqs() == {"40": "0,2,4,6", "41": "4", "42": "6"}


def test_a_governor_is_set_where_some_processors_are_offline_already(processors: Machine) -> None:
    processors.write_setting(processors.nodes()[0], Setting("smt", "node", CONTROL), "off")
    state = apply_profile(processors.target, STATE, profile(GOVERNOR))
    assert governors(processors) == ["performance", "performance"]
    assert restore(processors.target, state)[1] == []


def test_what_is_lacking_without_smt_puts_smt_back(processors: Machine) -> None:
    only = profile(SMT, entry("rps", "6"))
    with pytest.raises(
        RefusedError, match=r"no processor 6 but 0,2 only; all settings were put ba"
    ):
        apply_profile(processors.target, STATE, only)
    assert processors.texts(CONTROL) == ["on"]
    assert processors.irqs() == {"40": "0,2,4,6", "41": "4", "42": "6"}
