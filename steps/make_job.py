"""First stage of the submit form: make a campaign's job from what was typed there."""

from pathlib import Path
from typing import Annotated

from hera.workflows import Input, Output, Parameter
from ruamel.yaml.comments import CommentedMap

from steps.lib.catalog import Catalog, complete
from steps.lib.models import TargetKind
from steps.lib.stage import stage


class MakeJobInput(Input):
    """The fields of a campaign. Lists are texts, since the form knows no lists."""

    name: Annotated[
        str,
        Parameter(
            name="name",
            description="Name of the campaign; one that was used before **resumes** that campaign",
        ),
    ]
    plugins: Annotated[str, Parameter(name="plugins", description="Plugins, separated by commas")]
    profiles: Annotated[
        str, Parameter(name="profiles", description="Tuning profiles, separated by commas")
    ]
    matrix: Annotated[str, Parameter(name="matrix", description="Traffic matrix")]
    repeats: Annotated[
        int, Parameter(name="repeats", description="Independent blocks of each plugin and profile")
    ]
    seed: Annotated[int, Parameter(name="seed", description="Order of blocks and cells")]
    kind: Annotated[TargetKind, Parameter(name="kind", description="Kind of target")]
    target: Annotated[str, Parameter(name="target", description="Name of the target")]
    context: Annotated[
        str,
        Parameter(
            name="context",
            description="Context of the kubeconfig, for kubernetes; empty for namespaces",
        ),
    ]


class MakeJobOutput(Output):
    """The job."""

    job: Annotated[
        str, Parameter(name="job", description="Campaign with all catalog entries it names, JSON")
    ]


@stage(deadline_s=120)
def make_job(form: MakeJobInput) -> MakeJobOutput:
    """Read a campaign from the fields of a form, as if it stood in a file.

    Reads: the catalog of this image.
    Writes: nothing.
    Fails when: a field is wrong, or names something that the catalog does not have.
    """
    document = CommentedMap(
        name=form.name,
        title=form.name,
        target={"kind": form.kind, "name": form.target, "context": form.context or None},
        plugins=_names(form.plugins),
        profiles=_names(form.profiles),
        matrix=form.matrix,
        repeats=form.repeats,
        seed=form.seed,
    )
    job = complete(document, Path("form"), Catalog())
    return MakeJobOutput(job=job.model_dump_json())


def _names(text: str) -> list[str]:
    return [name for part in text.split(",") if (name := part.strip())]
