"""A campaign: plugins x profiles x matrix x repeats on one target."""

from typing import Literal, Self

from pydantic import Field, model_validator

from steps.lib.models.base import FieldError, Model, Name
from steps.lib.models.plugin import TargetKind
from steps.lib.models.timed import AddressFamily


class ExternalClient(Model):
    """A client outside of the cluster: where the stages run, or a network namespace there.

    Stages run on this machine, or on Argo each in a pod, which then is the client.
    """

    namespace: str | None = Field(
        default=None, description="Name of a network namespace, as `ip netns` lists it"
    )
    mtu_bytes: int | None = Field(
        default=None,
        ge=1280,
        le=65535,
        description="MTU of its device, where that is not the `underlay_mtu`",
    )
    reachable: bool = Field(
        default=True,
        description="Whether pods reach its own address, as they do not behind masquerade; if not, "
        "`pod-external` is unsupported",
    )


class TargetSpec(Model):
    """Where a campaign runs."""

    kind: TargetKind
    name: Name = Field(default="local", max_length=8, description="One campaign at a time per name")
    tools: Literal["box", "host"] = Field(
        default="box", description="The pinned tool box, or the machine's own programs"
    )
    underlay_mtu: int = Field(default=1500, ge=1280, le=65535, description="MTU between the nodes")
    context: str | None = Field(
        default=None,
        description="Of the kubeconfig; stated for kubernetes, since the current one may be any",
    )
    families: tuple[AddressFamily, ...] = Field(
        default=("ipv4",),
        description="Families of addresses that the cluster's nodes, pods and Services have; cells "
        "of others are unsupported",
    )
    external_client: ExternalClient | None = Field(
        default=None, description="Client of external paths; without it they are unsupported"
    )
    pairs_max: int = Field(
        default=16,
        ge=1,
        le=64,
        description="Pairs of pods that its nodes have CPUs and addresses for at once; cells with "
        "more are unsupported",
    )
    toolbox_image: str = Field(
        default="cnibench/toolbox:lab", description="Image of traffic pods and node agents"
    )

    @model_validator(mode="after")
    def _a_cluster_is_named_on_purpose(self) -> Self:
        if self.kind == "kubernetes" and not self.context:
            raise FieldError(
                "is missing; write the kubeconfig's context of the cluster to measure: its network "
                "is replaced, so the current context is never taken by accident",
                "context",
            )
        if self.kind == "namespaces":
            for name in ("context", "families", "external_client", "toolbox_image"):
                if getattr(self, name) != TargetSpec.model_fields[name].default:
                    raise FieldError("is for kind kubernetes only; leave it out", name)
        if "ipv4" not in self.families:
            raise FieldError("lacks ipv4, by which nodes are reached; add it", "families")
        return self


class Campaign(Model):
    """What one wants to know, as a file in Git.

    The name is the identity of the results: running the same campaign again does only what is
    missing, and a changed campaign under an old name is refused.
    """

    name: Name
    title: str
    target: TargetSpec
    plugins: tuple[Name, ...] = Field(min_length=1, description="Names of files in catalog/plugins")
    profiles: tuple[Name, ...] = Field(min_length=1, description="... in catalog/profiles")
    matrix: Name = Field(description="... in catalog/matrices")
    repeats: int = Field(ge=1, le=100, description="Independent blocks of each plugin and profile")
    seed: int = Field(ge=0, description="Order of blocks and cells")

    @model_validator(mode="after")
    def _candidates_are_distinct(self) -> Self:
        for field in ("plugins", "profiles"):
            names = getattr(self, field)
            for index, name in enumerate(names):
                if name in names[:index]:
                    raise FieldError(
                        f"{name!r} stands twice; keep one, and for more runs raise `repeats`",
                        field,
                        index,
                    )
        return self
