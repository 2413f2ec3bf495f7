"""Names of the kernel's functions by their addresses, as /proc/kallsyms tells them."""

from bisect import bisect_right
from collections.abc import Collection
from pathlib import Path

from steps.lib.errors import RefusedError

KALLSYMS = Path("/proc/kallsyms")

UNKNOWN = "?"

_CODE = frozenset("tTwW")
_FUNCTION_BYTES_MAX = 1 << 17
"""Further behind the last symbol there is code that has none (the longest functions of a kernel
are about half as long)."""


def names_of(addresses: Collection[int], file: Path = KALLSYMS) -> dict[int, str]:
    """Name of each address: ``name`` or ``name [module]``; ``?`` where there is none.

    What compilers append (``.isra.0``) is left out. The file is read each time, which takes a tenth
    of a second: modules and eBPF programs come and go with a plugin, and by an older list what is
    new would be the last function before it.

    Raises:
        RefusedError: the kernel hides its addresses from us.
    """
    begins, names = _functions(file)
    return {address: _name(address, begins, names) for address in addresses}


def _functions(file: Path) -> tuple[list[int], list[str]]:
    """Where the functions begin, those of modules and eBPF programs included, and their names."""
    lines = (line.split() for line in file.read_text().splitlines())
    code = sorted((int(words[0], 16), words[2:]) for words in lines if words[1] in _CODE)
    if not code or code[-1][0] == 0:
        raise RefusedError(
            f"{file} hides the addresses of the kernel's functions: set "
            "kernel.kptr_restrict to 0 or 1, and have the capability CAP_SYSLOG"
        )
    names = [" ".join((name.partition(".")[0], *module)) for _, (name, *module) in code]
    return [address for address, _ in code], names


def _name(address: int, begins: list[int], names: list[str]) -> str:
    index = bisect_right(begins, address) - 1
    if index < 0 or address - begins[index] > _FUNCTION_BYTES_MAX:
        return UNKNOWN
    return names[index]
