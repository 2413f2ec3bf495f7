"""``python -m lab``: a throw-away Kubernetes cluster on this machine."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated

import typer

from lab import control_plane, node, requirements, service_proxy, status
from lab.down import down, down_cluster
from lab.groups import Groups
from lab.layout import DEFAULT_PORT, Cluster, Lab, cluster_of, select
from lab.lock import exclusively
from lab.progress import say
from lab.up import MACHINES_FAMILY, up
from steps.lib.errors import CnibenchError, InputError


class Only(StrEnum):
    """One cluster of the two."""

    target = "target"
    mgmt = "mgmt"


class Nodes(StrEnum):
    """What nodes are made of."""

    namespaces = "namespaces"
    vm = "vm"


class Switch(StrEnum):
    """State of kube-proxy."""

    on = "on"
    off = "off"


class Mode(StrEnum):
    """Modes of kube-proxy that every machine can carry: IPVS is seldom in a kernel."""

    nftables = "nftables"
    iptables = "iptables"


app = typer.Typer(
    help="A throw-away Kubernetes cluster on this machine, in namespaces of its own.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
OnlyOption = Annotated[Only | None, typer.Option("--only", help="One cluster; default: both")]


@app.callback()
def choose(
    context: typer.Context,
    name: Annotated[str, typer.Option(help="Which lab; several can be up")] = "lab",
    port: Annotated[
        int,
        typer.Option(
            min=1, max=65532, help="On 127.0.0.1, of the target's API server; mgmt has the next 3"
        ),
    ] = DEFAULT_PORT,
) -> None:
    """Options for all verbs."""
    context.obj = Lab(name=name, port=port)


@app.command("check")
def check(context: typer.Context) -> None:
    """Say whether this machine can run the lab at all: before half an hour of compiling."""
    requirements.check_machine(context.obj)
    say("this machine can run the lab")


@app.command("up")
def bring_up(
    context: typer.Context,
    only: OnlyOption = None,
    nodes: Annotated[
        Nodes | None,
        typer.Option(
            help="What the target's nodes are: vm have a kernel of their own, and no speed"
        ),
    ] = None,
    dual_stack: Annotated[
        bool, typer.Option("--dual-stack", help="The target has IPv6 beside IPv4")
    ] = False,
) -> None:
    """Bring up what is missing; what runs stays as it is."""
    lab: Lab = context.obj
    clusters = select(only.value if only else None)
    if dual_stack and all(cluster.fixed_network for cluster in clusters):
        raise InputError("--dual-stack is of the target: bring it up, too, or leave it out")
    if dual_stack and nodes is Nodes.vm:
        raise InputError(MACHINES_FAMILY)
    up(lab, clusters, nodes.value if nodes else None, dual_stack=dual_stack)
    say("up")
    typer.echo(f"export KUBECONFIG={lab.kubeconfig}")


@app.command("status")
def show_status(context: typer.Context) -> None:
    """Say what runs. Ends with 0 if all is up, 1 if something is down, 3 if nothing is here."""
    raise typer.Exit(status.show(context.obj))


@app.command("down")
def take_down(context: typer.Context, only: OnlyOption = None) -> None:
    """End and remove everything of the lab, whatever state it is in."""
    if only is None:
        down(context.obj)
    else:
        down_cluster(context.obj, select(only.value)[0])


@app.command("kill-node")
def kill_node(context: typer.Context, name: Annotated[str, typer.Argument(help="n2")]) -> None:
    """Cut a node's power: its processes and its network end at once. `up` starts it again."""
    cluster, host = cluster_of(name)
    with _at_work(context.obj, cluster):
        node.stop(context.obj, host)
    say(f"{name} is dead")


@app.command("restart-apiserver")
def restart_apiserver(
    context: typer.Context, name: Annotated[Only, typer.Argument(metavar="CLUSTER")]
) -> None:
    """Kill a cluster's API server, start it again and wait until it is ready."""
    cluster: Cluster = select(name.value)[0]
    with _at_work(context.obj, cluster):
        Groups(context.obj.group).end(f"{cluster.name}-apiserver")
        control_plane.start(context.obj, cluster)
        control_plane.finish(context.obj, cluster)
    say(f"{cluster.name}: API server is ready")


@app.command("kube-proxy")
def kube_proxy(
    context: typer.Context,
    state: Annotated[Switch, typer.Argument()],
    name: Annotated[Only, typer.Argument(metavar="CLUSTER")] = Only.target,
    mode: Annotated[
        Mode | None, typer.Option(help="To run in from now on; nftables as long as none was named")
    ] = None,
) -> None:
    """Switch kube-proxy on all nodes of a cluster off, with all that it made, or on again."""
    if mode and state is Switch.off:
        raise InputError("--mode is of a kube-proxy that is switched on: leave it out")
    cluster = select(name.value)[0]
    with _at_work(context.obj, cluster):
        if context.obj.kind_of_nodes(cluster) == "vm":
            raise InputError(
                f"the nodes of {cluster.name} are virtual machines, in which kube-proxy stays on: "
                "bring the lab up with `--nodes namespaces`"
            )
        for host in cluster.nodes:
            if state is Switch.off:
                service_proxy.switch_off(context.obj, host)
            else:
                service_proxy.switch_on(context.obj, host, mode.value if mode else None)
    say(f"{name.value}: kube-proxy is {state.value}")


@contextmanager
def _at_work(lab: Lab, cluster: Cluster) -> Iterator[None]:
    """Change a cluster that is there; nothing is made for one that is not."""
    with exclusively(lab.group):
        if cluster not in lab.wanted():
            raise InputError(
                f"the lab {lab.name!r} has no cluster {cluster.name}: bring it up by "
                "`python -m lab up`"
            )
        Groups(lab.group).enter()
        yield


def main() -> None:
    """Run a verb; a problem that was foreseen ends with its status and one message."""
    try:
        app()
    except CnibenchError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)


main()
