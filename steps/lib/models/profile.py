"""A tuning profile: settings of nodes, each with its scope, so that it can be proven and undone."""

import re
from typing import Literal, NamedTuple, Self, get_args

from pydantic import Field, model_validator

from steps.lib.models import settings
from steps.lib.models.base import FieldError, Model, Name
from steps.lib.setting import Wanted

Kind = Literal[
    "sysctl", "congestion_control", "mtu", "qdisc", "rps", "irq_affinity",
    "ethtool_feature", "ethtool_ring", "ethtool_coalesce", "ethtool_channels",
    "cpu_governor", "cpu_latency", "cpu_idle_state", "smt", "sysfs",
    "service_stopped", "kernel_cmdline",
]  # fmt: skip
Scope = Literal["node", "netns", "underlay_nic"]

MTU_BYTES_MIN, MTU_BYTES_MAX = 1280, 65535
"""A device with less than the first has no IPv6, and most overlays no room for their headers."""


class Grammar(NamedTuple):
    """What entries of one kind look like."""

    scopes: tuple[Scope, ...]
    value: str
    """Pattern of the value."""
    means: str
    """The value in words."""
    name: str | None = None
    """Pattern of the name; None where the kind alone says what is set."""
    names: str | None = None
    """The name in words; None where its pattern is short enough to be read."""


_NUMBER, _ON_OFF = r"[1-9][0-9]*", "on|off"
_CPU_LIST = r"all|\d+(-\d+)?(,\d+(-\d+)?)*"
_LISTED = "a name on the list of what cuts no node off (steps/lib/models/settings.py)"
_DEVICE: tuple[Scope, ...] = ("underlay_nic",)
_NODE: tuple[Scope, ...] = ("node",)

GRAMMARS: dict[str, Grammar] = {
    "sysctl": Grammar(
        ("node", "netns"), r".+", "as read back, fields separated by blanks",
        settings.SYSCTL_NAMES, _LISTED,
    ),
    "congestion_control": Grammar(("netns",), r"[a-z0-9_-]+", "for example `cubic`"),
    "mtu": Grammar(_DEVICE, _NUMBER, f"{MTU_BYTES_MIN} to {MTU_BYTES_MAX} bytes"),
    "qdisc": Grammar(_DEVICE, settings.QDISCS, f"one of {settings.QDISCS}"),
    "rps": Grammar(_DEVICE, f"none|{_CPU_LIST}", "processors: `all`, `none`, or as `0-3,8`"),
    "irq_affinity": Grammar(_DEVICE, _CPU_LIST, "processors, one after the other: `all`, `0-3,8`"),
    "ethtool_feature": Grammar(_DEVICE, _ON_OFF, "`on` or `off`", settings.FEATURES, _LISTED),
    "ethtool_ring": Grammar(_DEVICE, _NUMBER, "a number of descriptors", "rx|tx|rx-(mini|jumbo)"),
    "ethtool_coalesce": Grammar(
        _DEVICE, r"on|off|\d+", "a number, or `on` and `off` for adaptive ones",
        r"adaptive-(rx|tx)|(rx|tx)-(usecs|frames)(-(irq|low|high))?",
    ),
    "ethtool_channels": Grammar(_DEVICE, _NUMBER, "a number of queues", "rx|tx|combined|other"),
    "cpu_governor": Grammar(_NODE, r"[a-z_]+", "for example `performance`"),
    "cpu_latency": Grammar(_NODE, r"\d+|n/a", "us a processor may take to wake, `n/a` for none"),
    "cpu_idle_state": Grammar(_NODE, "0|1", "`1`: never used, `0`: used", r"state[0-9\[\]*-]+"),
    "smt": Grammar(_NODE, _ON_OFF, "`on` or `off`"),
    "sysfs": Grammar(
        _NODE, r".+", "as read back; of a list of choices, one",
        settings.FILES, _LISTED,
    ),
    "service_stopped": Grammar(_NODE, "stopped", "`stopped`", settings.SERVICES, _LISTED),
    "kernel_cmdline": Grammar(_NODE, r"\S+", "what stands behind `=`", r"[\w.-]+"),
}  # fmt: skip
"""The other half of each kind, how a node is read and changed, is in
``steps/lib/targets/namespaces/tuning/kinds.py``."""


class Entry(Model):
    """One thing that a profile sets.

    ``scope: node`` is the whole machine, ``scope: netns`` each network namespace (there: the node's
    own), ``scope: underlay_nic`` the device that has the node's address. Whether pods see a setting
    of a namespace is the kernel's business: a new namespace copies only a few of them.
    """

    kind: Kind = Field(default="sysctl", description="What sort of setting")
    name: str = Field(default="", description="Which one, where the kind alone does not say")
    scope: Scope
    value: str = Field(min_length=1, description="As read back; always a text")
    optional: bool = Field(
        default=False,
        description="A node without it is tuned nevertheless; the result says what was lacking",
    )
    note: str | None = None

    @model_validator(mode="after")
    def _follows_the_grammar_of_its_kind(self) -> Self:
        grammar = GRAMMARS[self.kind]
        if self.scope not in grammar.scopes:
            scopes = " or ".join(grammar.scopes)
            raise FieldError(f"of kind {self.kind} is {scopes}, found {self.scope!r}", "scope")
        if grammar.name is None and self.name:
            raise FieldError(f"kind {self.kind} has none; leave it out", "name")
        if grammar.name is not None and not re.fullmatch(grammar.name, self.name):
            means = grammar.names or f"a text that matches {grammar.name}"
            raise FieldError(f"expected {means}, found {self.name!r}", "name")
        if not re.fullmatch(grammar.value, self.value):
            raise FieldError(
                f"of kind {self.kind} is {grammar.means}, found {self.value!r}", "value"
            )
        self._refuse_what_cuts_a_node_off()
        return self

    def _refuse_what_cuts_a_node_off(self) -> None:
        if self.kind == "mtu" and not MTU_BYTES_MIN <= int(self.value) <= MTU_BYTES_MAX:
            means = GRAMMARS["mtu"].means
            raise FieldError(f"of kind mtu is {means}, found {self.value!r}", "value")
        wrong = settings.complaint(self.name, self.value) if self.kind == "sysctl" else None
        if wrong:
            raise FieldError(wrong, "value")

    @property
    def is_before_install(self) -> bool:
        """Whether it must be in force before a plugin looks at the node and chooses its own MTU."""
        return self.kind == "mtu"

    @property
    def wanted(self) -> Wanted:
        """What a node is asked for."""
        return Wanted(self.kind, self.scope, self.name, self.value)


class Profile(Model):
    """A named set of settings. The profile without entries is the untuned node."""

    name: Name
    title: str
    description: str
    source: str | None = Field(default=None, description="Paper, code or guide it was read in")
    entries: tuple[Entry, ...] = ()

    @model_validator(mode="after")
    def _each_setting_has_one_value(self) -> Self:
        keys = [(entry.kind, entry.name) for entry in self.entries]
        for index, key in enumerate(keys):
            if key in keys[:index]:
                name = str(self.entries[index].wanted)
                raise FieldError(
                    f"{name!r} is given twice; keep one value", "entries", index, "name"
                )
        return self

    @property
    def mtu_bytes(self) -> int | None:
        """MTU of the underlay, if the profile sets it."""
        return next((int(e.value) for e in self.entries if e.kind == "mtu"), None)


assert set(GRAMMARS) == set(get_args(Kind)), "each kind has a grammar"
