"""A network policy that is in force while a cell is measured."""

from typing import Literal

from pydantic import Field

from steps.lib.models.base import Model

PolicyKind = Literal["allow", "deny", "default-deny", "l7", "cluster-wide"]
EnforcedKind = Literal["allow", "deny", "default-deny"]
"""Kinds that a NetworkPolicy can be; a plugin's own kinds of objects are not written yet."""

NO_SUCH_OBJECT: dict[PolicyKind, str] = {
    "l7": "no NetworkPolicy of Kubernetes can name methods and paths of HTTP",
    "cluster-wide": "a NetworkPolicy of Kubernetes is of one namespace",
}
POLICY_RULES_MAX = 10_000


class Policy(Model):
    """A NetworkPolicy (networking.k8s.io/v1) on the server, which lets the measured client in.

    A pod that a policy selects is closed to everybody else, so all kinds deny: each is proven by a
    stranger that is turned away on the very port that is measured.
    """

    kind: PolicyKind = Field(
        description="`allow`: the client, by its labels, on the tool's ports. `deny`: everybody "
        "but the stranger, by its labels, since there are no rules that deny. `default-deny`: as "
        "`allow`, beside a policy that closes every pod of the namespace. `l7` (methods of HTTP) "
        "and `cluster-wide` (of no namespace): planned as unsupported, with the reason"
    )
    rules: int = Field(
        default=1,
        ge=1,
        le=POLICY_RULES_MAX,
        description="Rules of the policy: the last lets the client in, the others each an address "
        "range that nobody has (198.18.0.0/15, RFC 2544)",
    )
