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


class KernelSymbols:
    """The kernel's functions, those of its modules and of loaded eBPF programs included.

    They are read when the first name is wanted, and again when an address has no name: the file has
    100,000 lines, which takes a tenth of a second, and programs come and go with a plugin.
    """

    def __init__(self, file: Path = KALLSYMS) -> None:
        self._file = file
        self._addresses: list[int] = []
        self._names: list[str] = []

    def names(self, addresses: Collection[int]) -> dict[int, str]:
        """Name of each address: ``name`` or ``name [module]``; ``?`` where there is none.

        What compilers append (``.isra.0``) is left out.

        Raises:
            RefusedError: the kernel hides its addresses from us.
        """
        found = {address: self._name(address) for address in addresses}
        if UNKNOWN in found.values():
            self._read()
            found = {address: self._name(address) for address in addresses}
        return found

    def _name(self, address: int) -> str:
        index = bisect_right(self._addresses, address) - 1
        if index < 0 or address - self._addresses[index] > _FUNCTION_BYTES_MAX:
            return UNKNOWN
        return self._names[index]

    def _read(self) -> None:
        lines = (line.split() for line in self._file.read_text().splitlines())
        code = sorted((int(words[0], 16), words[2:]) for words in lines if words[1] in _CODE)
        if not code or code[-1][0] == 0:
            raise RefusedError(
                f"{self._file} hides the addresses of the kernel's functions: set "
                "kernel.kptr_restrict to 0 or 1, and have the capability CAP_SYSLOG"
            )
        self._addresses = [address for address, _ in code]
        self._names = [" ".join((name.partition(".")[0], *rest)) for _, (name, *rest) in code]
