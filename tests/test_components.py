"""A sample of a CPU is told to be of one component, and functions get the kernel's names."""

import errno
import fnmatch
import platform
import re
from bisect import bisect_left
from pathlib import Path

import pytest

from steps.lib.catalog import CATALOG
from steps.lib.components import FILE, Classifier, classifier, rules
from steps.lib.documents import read_yaml, validate
from steps.lib.errors import InputError, RefusedError
from steps.lib.models import CpuComponents
from steps.lib.models.components import IDLE
from steps.lib.row import component_columns
from steps.lib.targets import perf_event, sampling
from steps.lib.targets.kernel_symbols import KALLSYMS, UNKNOWN, names_of
from steps.lib.targets.observations import Owner, Sampled, Stack

IN_SOFTIRQ = ("process_backlog", "__napi_poll", "net_rx_action", "handle_softirqs", "do_softirq")
SENDING = ("tcp_write_xmit", "tcp_sendmsg", "sock_sendmsg", "do_syscall_64")


@pytest.mark.parametrize(
    ("owner", "frames", "component"),
    [
        ("tool", (), "tool"),
        ("tool", SENDING, "stack"),
        ("tool", ("memcpy", "_copy_from_iter", *SENDING), "copy"),
        ("tool", ("veth_xmit", "dev_hard_start_xmit", *SENDING), "veth"),
        ("tool", ("tcp_v4_rcv", *IN_SOFTIRQ, "veth_xmit", *SENDING), "stack"),
        ("tool", ("__alloc_skb", "vxlan_build_skb", "vxlan_xmit", *SENDING), "stack"),
        ("tool", ("_raw_spin_lock", "vxlan_xmit", *SENDING), "overlay"),
        ("kernel", ("br_nf_forward", "nf_hook_slow", "br_forward", *IN_SOFTIRQ), "netfilter"),
        ("kernel", ("br_forward", *IN_SOFTIRQ), "bridge"),
        ("kernel", ("ip_forward", "ip_rcv", *IN_SOFTIRQ), "forwarding"),
        ("kernel", ("ip_rcv", *IN_SOFTIRQ), "stack"),
        ("kernel", IN_SOFTIRQ, "softirq"),
        ("kernel", ("pv_native_safe_halt", "default_idle", "do_idle"), "idle"),
        ("kernel", ("poll_idle", "cpuidle_enter_state", "do_idle"), "polling"),
        ("kernel", ("cpu_idle_poll", "do_idle", "cpu_startup_entry"), "polling"),
        ("kernel", ("ip_forward", *IN_SOFTIRQ, "default_idle", "do_idle"), "forwarding"),
        ("kernel", ("decrypt [wireguard]", "wg_packet_decrypt_worker [wireguard]"), "encryption"),
        ("kernel", ("anything [bridge]",), "bridge"),
        ("tool", ("__xfrm_policy_check2", "tcp_v4_rcv", *IN_SOFTIRQ), "stack"),
        ("kernel", ("bpf_prog_0123_cil_from_container [bpf]", *IN_SOFTIRQ), "ebpf"),
        ("kernel", ("shrink_folio_list", "kthread"), "other"),
        ("kernel", (), "other"),
        ("plugin", (), "plugin"),
        ("plugin", SENDING, "plugin"),
        ("foreign", SENDING, "foreign"),
        ("foreign", ("veth_poll", *IN_SOFTIRQ, "asm_sysvec_call_function", "main"), "veth"),
        ("cnibench", ("tcp_get_idx", "vfs_read"), "cnibench"),
    ],
)
def test_the_innermost_frame_that_is_known_decides(
    owner: Owner, frames: tuple[str, ...], component: str
) -> None:
    assert classifier().component(Stack(owner, frames)) == component


def test_of_one_frame_the_first_component_that_matches_decides() -> None:
    both = [{"name": n, "description": "", "symbols": ["ip_*"]} for n in ("first", "second")]
    document = {
        "source": "",
        "precedence": "innermost-frame",
        "interrupts": ["irq"],
        "components": [
            *both,
            *({"name": name, "description": "", "symbols": [name]} for name in IDLE),
        ],
    }
    told = Classifier(CpuComponents.model_validate(document))
    assert told.component(Stack("kernel", ("ip_rcv",))) == "first"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("- name: veth", "- name: bridge", r"components.6.name: 'bridge' is taken"),
        ("- name: veth", "- name: foreign", r"components.6.name: 'foreign' is taken"),
        ("- name: idle", "- name: halt", "components: has no component `idle`"),
        ("- name: polling", "- name: spinning", "components: has no component `polling`"),
        ("innermost-frame", "outermost-frame", "precedence: 'outermost-frame' is not possible"),
        ("interrupts:", "interupts:", "interupts: unknown field; did you mean 'interrupts'"),
    ],
)
def test_wrong_rules_are_told_with_their_place(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    path = tmp_path / FILE
    path.write_text((CATALOG / FILE).read_text().replace(old, new))
    with pytest.raises(InputError, match=complaint):
        validate(CpuComponents, read_yaml(path), path)


def test_columns_hold_the_samples_or_the_reason_why_there_are_none() -> None:
    idle = Stack("kernel", ("default_idle",))
    busy = Sampled({idle: 90, Stack("tool", ()): 3, Stack("tool", SENDING): 7})
    assert component_columns(busy, 99) == {
        "cpu_sampling_hz": 99,
        "cpu_components": [
            {"component": "idle", "samples": 90},
            {"component": "stack", "samples": 7},
            {"component": "tool", "samples": 3},
        ],
        "cpu_components_absent_because": None,
    }
    for sampled, reason in (
        (Sampled(reason="not allowed"), "not allowed"),
        (Sampled({idle: 90}), "no CPU was seen busy"),
        (Sampled({idle: 90, Stack("kernel", ("poll_idle",)): 9}), "no CPU was seen busy"),
        (Sampled(), "no CPU was seen busy"),
    ):
        found = component_columns(sampled, 99)
        assert found["cpu_components"] is None
        assert found["cpu_components_absent_because"] == reason


def test_functions_are_found_by_addresses_inside_of_them(tmp_path: Path) -> None:
    file = tmp_path / "kallsyms"
    file.write_text(
        "ffffffff81000000 T first\n"
        "ffffffff81000100 t second.constprop.0\n"
        "ffffffff81000180 d data\n"
        "ffffffffc0000000 t third\t[bridge]\n"
    )
    first, second, third = 0xFFFFFFFF81000080, 0xFFFFFFFF81000190, 0xFFFFFFFFC0000010
    nowhere, before = 0xFFFFFFFFC1000000, 0x10
    assert names_of([first, second, third, nowhere, before], file) == {
        first: "first",
        second: "second",
        third: "third [bridge]",
        nowhere: UNKNOWN,
        before: UNKNOWN,
    }
    with file.open("a") as more:
        more.write("ffffffffc1000000 t bpf_prog_1_new\t[bpf]\n")
        more.write("ffffffffc0000008 t fourth\t[vxlan]\n")
    assert names_of([third, nowhere], file) == {
        third: "fourth [vxlan]",
        nowhere: "bpf_prog_1_new [bpf]",
    }


def test_hidden_addresses_are_refused_with_what_to_set(tmp_path: Path) -> None:
    file = tmp_path / "kallsyms"
    file.write_text("0000000000000000 T first\n0000000000000000 t second\n")
    with pytest.raises(RefusedError, match=r"kernel\.kptr_restrict"):
        names_of([0xFFFFFFFF81000080], file)


@pytest.mark.skipif(not KALLSYMS.exists(), reason="this kernel has no kallsyms")
def test_patterns_that_this_kernel_has_functions_for_name_some() -> None:
    functions = [line.split()[2] for line in KALLSYMS.read_text().splitlines()]
    told = classifier()
    found = {told.component(Stack("kernel", (f.partition(".")[0],))) for f in functions}
    assert {"idle", "stack", "softirq", "copy", "scheduling", "interrupt", "syscall"} <= found


@pytest.mark.skipif(
    not platform.release().startswith("6.18.") or Path("/proc/modules").exists(),
    reason="the list of what is not checked is of Linux 6.18 with all that it has built in",
)
def test_each_pattern_matches_a_function_or_is_listed_with_the_reason_why_it_does_not() -> None:
    """A pattern with a slip would never match, and nobody would notice."""
    lines = (line.split() for line in KALLSYMS.read_text().splitlines())
    functions = sorted({words[2].partition(".")[0] for words in lines if words[1] in "tTwW"})

    def is_matched(pattern: str) -> bool:
        prefix = re.split(r"[*?[]", pattern)[0]
        first, end = bisect_left(functions, prefix), bisect_left(functions, f"{prefix}\x7f")
        return any(fnmatch.filter(functions[first:end], pattern))

    patterns = {*rules().interrupts, *(p for c in rules().components for p in c.symbols)}
    unmatched = {p for p in patterns if not is_matched(p)}
    listed = [p for names in rules().unchecked.values() for p in names]
    assert sorted(listed) == sorted(unmatched)


def test_a_kernel_that_does_not_sample_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(event: perf_event.Event) -> list[int]:
        raise PermissionError(errno.EACCES, "perf_event_open: Permission denied")

    monkeypatch.setattr(perf_event, "open_on_each_cpu", refuse)
    sampler = sampling.Sampler(99)
    with pytest.raises(RefusedError, match=r"cannot be sampled: .*Permission denied"):
        sampler.start()
    sampler.stop()
