"""The gate about policies: what they let through and what they turn away, on the measured port."""

from steps.lib.gates.base import Evidence, Found, gate, verdict
from steps.lib.policing import Seen


@gate(
    evidence="Connections to every port of the tool, from the client and from a stranger on its "
    "node, before the run and after it; the port of the data in the tool's document",
    source="a published test whose policy filtered the control connection only (pitfall 23)",
    cost="two connections a port, before and after; a stranger that is turned away takes a second",
    needs=("record",),
)
def policy(e: Evidence) -> Found:
    """The policy let the measured connection in and turned a stranger away, on the same port."""
    if e.cell.traffic.policy is None:
        return "not_applicable", "no policy is asked for"
    if e.policed is None or len(e.policed.seen) < 2:
        return "fail", "the policy was not looked at before and after the run"
    port = e.the_record.effective.get("server_port")
    problems = []
    for when, seen in zip(("before", "after"), e.policed.seen, strict=True):
        if not isinstance(port, int) or port not in seen.client:
            problems.append(f"{when}: the measured port {port} was not tried")
        elif not seen.is_in_force:
            problems.append(f"{when}: {_told(seen)}")
    text = f"port {port}: the client passes, a stranger does not, before and after"
    return verdict(not problems), "; ".join(problems) or text


def _told(seen: Seen) -> str:
    shut = [str(port) for port, reached in seen.client.items() if not reached]
    open_ = [str(port) for port, reached in seen.stranger.items() if reached]
    said = [f"the client is turned away on port {', '.join(shut)}"] if shut else []
    said += [f"a stranger passes on port {', '.join(open_)}"] if open_ else []
    return " and ".join(said)
