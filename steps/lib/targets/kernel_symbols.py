"""Names of the kernel's functions by their addresses, as /proc/kallsyms tells them."""

import re
from bisect import bisect_right
from collections.abc import Collection
from operator import itemgetter
from pathlib import Path

from steps.lib.errors import RefusedError

KALLSYMS = Path("/proc/kallsyms")

UNKNOWN = "?"

_FUNCTION = re.compile(rb"^([0-9a-f]+) [tTwW] (\S+)(?:\s+(\[\S+\]))?$", re.MULTILINE)
"""One pass over 200,000 lines: taking each line apart would take as long as a short cell may."""

_FUNCTION_BYTES_MAX = 1 << 17
"""Further behind the last symbol there is code that has none (the longest functions of a kernel
are about half as long)."""


def names_of(addresses: Collection[int], file: Path = KALLSYMS) -> dict[int, str]:
    """Name of each address: ``name`` or ``name [module]``; ``?`` where there is none.

    What compilers append (``.isra.0``) is left out. The file is read each time: modules and eBPF
    programs come and go with a plugin, and by an older list what is new would be the last function
    before it.

    Raises:
        RefusedError: the kernel hides its addresses from us.
    """
    functions = _functions(file)
    return {address: _name(address, functions) for address in addresses}


_Function = tuple[bytes, bytes, bytes]
"""Where it begins, its name, its module; the former in the file's own digits, all of one length."""


def _functions(file: Path) -> list[_Function]:
    """The functions, those of modules and eBPF programs included, in the order of addresses."""
    code: list[_Function] = sorted(_FUNCTION.findall(file.read_bytes()))
    if not code or int(code[-1][0], 16) == 0:
        raise RefusedError(
            f"{file} hides the addresses of the kernel's functions: set "
            "kernel.kptr_restrict to 0 or 1, and have the capability CAP_SYSLOG"
        )
    return code


def _name(address: int, functions: list[_Function]) -> str:
    digits = f"{address:0{len(functions[0][0])}x}".encode()
    index = bisect_right(functions, digits, key=itemgetter(0)) - 1
    begin, name, module = functions[index]
    if index < 0 or address - int(begin, 16) > _FUNCTION_BYTES_MAX:
        return UNKNOWN
    return b" ".join(filter(None, (name.partition(b".")[0], module))).decode()
