"""First stage of a campaign on Argo: make it from a form's fields, and list what is to be run."""

import re
from pathlib import Path
from typing import Annotated

from hera.workflows import Output, Parameter
from ruamel.yaml.comments import CommentedMap

from steps.lib import sources
from steps.lib.catalog import Catalog, complete
from steps.lib.errors import InputError
from steps.lib.manifest import plan_on, register, require
from steps.lib.missing import unmeasured_cells
from steps.lib.stage import StoreParameter, TargetInput, stage
from steps.lib.store import open_store
from steps.lib.targets import open_target


class PlanBlocksInput(TargetInput):
    """The fields of a campaign. All are texts, as forms know them: what is wrong is said here."""

    name: Annotated[
        str,
        Parameter(
            name="name",
            description="Name of the campaign. Empty: a new one. One that was used before "
            "**resumes** that campaign: only what is missing is run",
        ),
    ]
    plugins: Annotated[str, Parameter(name="plugins", description="Plugins, separated by commas")]
    profiles: Annotated[
        str, Parameter(name="profiles", description="Tuning profiles, separated by commas")
    ]
    matrix: Annotated[
        str, Parameter(name="matrix", description="Traffic: paths, protocols, durations")
    ]
    repeats: Annotated[
        str,
        Parameter(
            name="repeats",
            description="Independent blocks of each plugin and profile: whole installations. "
            "With fewer than 5 only large differences can be seen",
        ),
    ]
    seed: Annotated[
        str, Parameter(name="seed", description="Whole number that decides the random order")
    ]
    store: StoreParameter
    workflow: Annotated[
        str, Parameter(name="workflow", description="Name of a campaign that was given none")
    ]

    @property
    def document(self) -> CommentedMap:
        """The campaign as if it stood in a file."""
        name = self.name.strip() or self.workflow
        return CommentedMap(
            name=name,
            title=name,
            target=self.spec().model_dump(mode="json"),
            plugins=_names(self.plugins),
            profiles=_names(self.profiles),
            matrix=self.matrix,
            repeats=_number(self.repeats),
            seed=_number(self.seed),
        )


class PlanBlocksOutput(Output):
    """The campaign, and what is left to do; what all blocks share, for the whole workflow."""

    campaign: Annotated[
        str,
        Parameter(name="campaign", global_name="campaign", description="Its name in the store"),
    ]
    where: Annotated[
        str, Parameter(name="where", global_name="where", description="Its target, JSON")
    ]
    blocks: Annotated[
        list[str], Parameter(name="blocks", description="Ids of blocks to run, in order")
    ]


@stage(deadline_s=600, retries=2)
def plan_blocks(form: PlanBlocksInput) -> PlanBlocksOutput:
    """Register the campaign and compare its plan with the store.

    Reads: the catalog; keys of the campaign's measurements.
    Writes: the campaign's manifest and planned cells (once per campaign).
    Fails when: a field is wrong, the store holds another campaign of this name, or target or store
    cannot be used. Blocks with nothing missing are not listed.
    """
    job = complete(form.document, Path("form"), Catalog())
    sources.require_locked(job)
    target, store = open_target(job.campaign.target), open_store(_bucket(form.store))
    require(target)
    register(job, target, store)
    blocks = plan_on(job, target).blocks
    return PlanBlocksOutput(
        campaign=job.campaign.name,
        where=job.campaign.target.model_dump_json(),
        blocks=[b.id for b in blocks if unmeasured_cells(b, store)],
    )


def _bucket(address: str) -> str:
    """The store's address; a directory would be one of this pod, and gone with it."""
    if not address.startswith("s3://"):
        raise InputError(f"form: store: {address!r} is no bucket; write s3://bucket/name")
    return address


def _names(text: str) -> list[str]:
    return [name for part in text.split(",") if (name := part.strip())]


def _number(text: str) -> int | str:
    """What was typed; the campaign's own check says what is wrong with anything else."""
    return int(text) if re.fullmatch(r"\s*[0-9]{1,18}\s*", text) else text
