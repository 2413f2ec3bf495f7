"""The parts of iperf3's document that every version since 3.0 writes, as far as they are used.

``target_bitrate`` stands in ``start`` (3.7 to 3.10 or so) or in ``test_start``; ``tcp_mss_default``
was ``tcp_mss`` when the user had set it. UDP got two sums at the end where it had one, ``sum``.
"""

from typing import Annotated, Literal

from pydantic import Field

from steps.lib.traffic import iperf3_document
from steps.lib.traffic.iperf3_document import Count, Number, Part


class TestStart(Part):
    """The parameters; ``duration`` is 0 where bytes or blocks were asked for."""

    __test__ = False

    protocol: Literal["TCP", "UDP"]
    num_streams: Annotated[int, Field(ge=1, le=128)]
    blksize: Count
    omit: Count = 0
    duration: Count
    reverse: Literal[0, 1]
    bidir: Literal[0, 1] = 0
    target_bitrate: Count | None = None


class Timestamp(Part):
    """When the test began, in whole seconds since 1970."""

    timesecs: Annotated[int, Field(ge=0, lt=1 << 33)]


class Start(Part):
    """The ``start``."""

    connected: list[object]
    version: str
    test_start: TestStart
    timestamp: Timestamp | None = None
    tcp_mss_default: Count | None = None
    tcp_mss: Count | None = None
    target_bitrate: Count | None = None


class Interval(Part):
    """All streams over one interval."""

    seconds: Annotated[float, Field(gt=0)]
    end: Number | None = None
    bytes: Count
    bits_per_second: Number
    omitted: bool = False

    @property
    def measured_s(self) -> float:
        """Without what of it was omitted; see ``iperf3_document.Side.measured``."""
        return min(self.seconds, self.end or self.seconds)


class IntervalReport(Part):
    """One ``interval``."""

    sum: Interval


class Sum(iperf3_document.Sum):
    """All streams over the window, with the share that iperf3 itself made of the counts."""

    lost_percent: Number | None = None


class End(Part):
    """The ``end``."""

    sum_sent: Sum | None = None
    sum_received: Sum | None = None
    sum: Sum | None = None


class Document(Part):
    """A whole run."""

    start: Start
    intervals: list[IntervalReport]
    end: End
