"""Traffic tools. Adding one = one file beside this one, and one entry in ``TOOLS``."""

from steps.lib.models import TcpStream, Traffic, Transactions
from steps.lib.traffic.h2load import H2load
from steps.lib.traffic.iperf3 import Iperf3
from steps.lib.traffic.netperf import Netperf
from steps.lib.traffic.protocol import Tool
from steps.lib.traffic.transact import Transact

TOOLS: tuple[Tool, ...] = (Iperf3(), Netperf(), Transact(), H2load())


NOT_OF_THE_TOOL = {"id", "paths", "tool", "load", "pairs", "policy", "scale", "family"}
"""Fields of a cell's traffic that its tool is told nothing of."""


def tool_for(traffic: Traffic) -> Tool:
    """The tool that makes this kind of traffic; of transactions the one that the cell names."""
    able = (tool for tool in TOOLS if traffic.kind in tool.kinds)
    return next(t for t in able if not isinstance(traffic, Transactions) or t.name == traffic.tool)


def asked(traffic: Traffic) -> dict[str, str | int | None]:
    """Every parameter of the request, to be compared with ``ToolRecord.effective`` one by one.

    A bulk test without a stated rate asks for none: a tool that paced it did something else.
    """
    parameters = traffic.model_dump(exclude=NOT_OF_THE_TOOL) | {"protocol": traffic.protocol}
    if isinstance(traffic, TcpStream) and traffic.chosen_congestion_control is None:
        del parameters["congestion_control"]
    return parameters
