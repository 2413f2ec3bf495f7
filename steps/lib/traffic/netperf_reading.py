"""Reading the output of ``netperf -D ... -- -k ...``, line by line, with suspicion.

A good run of version 2.7.1 is, and nothing else:

* one banner that names the test, the address, the data port and the modes;
* reports of four lines, ``NETPERF_INTERIM_RESULT[n]=``, ``_UNITS``, ``_INTERVAL``, ``_ENDING``,
  flushed together, the last one shorter: it is written when the test ends;
* the selected keys, once each, in the order of the selection.

netperf ends with status 0, and with all keys, when it is interrupted: ``ELAPSED_TIME`` is the only
sign. Its complaints go to standard output as well as to standard error.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from steps.lib.traffic.lines import lines_of
from steps.lib.traffic.protocol import DocumentError

SELECTION = (
    "SOCKET_TYPE", "PROTOCOL", "DIRECTION", "DEST_FAMILY", "DEST_ADDR", "DEST_PORT",
    "REQUEST_SIZE", "RESPONSE_SIZE", "BURST_SIZE", "LOCAL_NODELAY", "REMOTE_NODELAY",
    "LOCAL_CONG_CONTROL", "TRANSPORT_MSS", "LSS_SIZE_END", "RSR_SIZE_END", "CONFIDENCE_ITERATION",
    "LOCAL_TRANSPORT_RETRANS", "REMOTE_TRANSPORT_RETRANS", "ELAPSED_TIME", "THROUGHPUT",
    "THROUGHPUT_UNITS", "TRANSACTION_RATE", "MIN_LATENCY", "MEAN_LATENCY", "P50_LATENCY",
    "P90_LATENCY", "P99_LATENCY", "MAX_LATENCY", "STDDEV_LATENCY", "COMMAND_LINE",
)  # fmt: skip
"""What is asked with ``-k``: results, and an echo of every parameter."""

FIXED = {
    "SOCKET_TYPE": "Stream",
    "PROTOCOL": "TCP",
    "BURST_SIZE": "0",  # one transaction in flight
    "LOCAL_NODELAY": "1",
    "REMOTE_NODELAY": "1",
    "CONFIDENCE_ITERATION": "1",
    "THROUGHPUT_UNITS": "Trans/s",
}
"""What every good record says, whatever was asked."""

_BANNER = re.compile(
    r"MIGRATED TCP (REQUEST/RESPONSE|Connect/Request/Response) TEST "
    r"from \S+ \(\S*\) port \d+ (AF_INET6?) to \S+ \(\S*\) port \d+ (AF_INET6?)"
    r" : nodelay : demo(?: : first burst 0)?"
)
_FAMILIES = {"2": "AF_INET", "10": "AF_INET6"}
_DECIMAL = r"([0-9]+(?:\.[0-9]+)?)"
_REPORT = (
    rf"NETPERF_INTERIM_RESULT\[{{0}}\]={_DECIMAL}",
    r"NETPERF_UNITS\[{0}\]=Trans/s",
    rf"NETPERF_INTERVAL\[{{0}}\]={_DECIMAL}",
    rf"NETPERF_ENDING\[{{0}}\]={_DECIMAL}",
)


@dataclass(frozen=True)
class Report:
    """One interim report: transactions per second over the seconds before ``ending_s`` (UTC)."""

    transactions_per_s: float
    duration_s: float
    ending_s: float

    @property
    def start_s(self) -> float:
        """Start of the interval, UTC."""
        return self.ending_s - self.duration_s


@dataclass(frozen=True)
class Record:
    """A whole run, as the client tells it."""

    reports: tuple[Report, ...]
    fields: Mapping[str, str]

    def number(self, key: str) -> float:
        """A result that must be there."""
        return _number(self.fields[key], key)

    def count(self, key: str) -> int:
        """A result that must be there, and whole."""
        return _count(self.fields[key], key)

    def option(self, pattern: str) -> str:
        """An option of the command line, as netperf echoes it."""
        match = re.search(pattern, self.fields["COMMAND_LINE"])
        if not match:
            raise DocumentError(f"netperf's COMMAND_LINE has no {pattern!r}")
        return match[1]


def read_record(output: bytes) -> Record:
    """The one complete record that ``output`` is; DocumentError says why it is not one."""
    lines = lines_of(output)
    banner = _BANNER.fullmatch(lines[0])
    if not banner:
        raise DocumentError(f"netperf's output does not start with its banner: {lines[0][:80]!r}")
    reports = tuple(_reports(lines))
    fields = _fields(lines[1 + 4 * len(reports) :])
    for key, value in FIXED.items():
        if fields[key] != value:
            raise DocumentError(f"netperf's {key} is {fields[key]!r}, expected {value!r}")
    if banner.group(2, 3) != (_FAMILIES.get(fields["DEST_FAMILY"]),) * 2:
        raise DocumentError(f"netperf's DEST_FAMILY is {fields['DEST_FAMILY']!r}, not its banner's")
    record = Record(reports, fields)
    _check_complete(record)
    return record


def _reports(lines: Sequence[str]) -> Iterator[Report]:
    """The interim reports, numbered from 0 without a gap."""
    number = 0
    while (at := 1 + 4 * number) < len(lines) and lines[at].startswith("NETPERF_"):
        values = []
        for pattern, line in zip(_REPORT, lines[at : at + 4], strict=False):
            match = re.fullmatch(pattern.format(number), line)
            if not match:
                raise DocumentError(f"interim report {number} of netperf is broken: {line[:80]!r}")
            values += [float(group) for group in match.groups()]
        if len(values) != 3:
            raise DocumentError(f"interim report {number} of netperf is cut off")
        yield Report(*values)
        number += 1


def _fields(lines: Sequence[str]) -> dict[str, str]:
    if not lines:
        raise DocumentError("netperf's results are missing: its output ends after interim reports")
    pairs = [line.split("=", 1) for line in lines]
    keys = [pair[0] for pair in pairs]
    if keys != list(SELECTION) or any(len(pair) != 2 for pair in pairs):
        odd = next((k for k, wanted in zip(keys, SELECTION, strict=False) if k != wanted), None)
        raise DocumentError(
            f"netperf's results are not the selected ones: {len(lines)} lines for "
            f"{len(SELECTION)} keys{f', first odd one {odd[:80]!r}' if odd is not None else ''}"
        )
    return {pair[0]: pair[1] for pair in pairs}


def _check_complete(record: Record) -> None:
    """The run took its time, its reports cover it, and latencies are in microseconds."""
    asked_s, elapsed_s = int(record.option(r" -l ([0-9]+) ")), record.number("ELAPSED_TIME")
    if elapsed_s < 0.98 * asked_s:
        raise DocumentError(f"netperf's run was cut short: {elapsed_s} s of {asked_s} s")
    if not record.fields["COMMAND_LINE"].endswith('"') or len(record.reports) < 2:
        raise DocumentError("netperf's record is cut off, or it made less than two reports")
    covered_s = record.reports[-1].ending_s - record.reports[0].start_s
    if abs(covered_s - elapsed_s) > 0.03 * elapsed_s:
        raise DocumentError(
            f"netperf's interim reports cover {covered_s:.2f} s of {elapsed_s:.2f} s"
        )
    rate = record.number("TRANSACTION_RATE")
    if rate <= 0 or abs(rate - record.number("THROUGHPUT")) > 0.01:
        raise DocumentError("netperf's THROUGHPUT is not its TRANSACTION_RATE")
    if not 0.8 <= (share := rate * record.number("MEAN_LATENCY") / 1e6) <= 1.05:
        raise DocumentError(
            f"netperf's latency is not in us: rate times mean is {share:.3g} s a second, not 1"
        )


def _number(text: str, key: str) -> float:
    if not re.fullmatch(_DECIMAL, text):
        raise DocumentError(f"netperf's {key} is not a number: {text[:40]!r}")
    return float(text)


def _count(text: str, key: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise DocumentError(f"netperf's {key} is not a count: {text[:40]!r}")
    return int(text)
