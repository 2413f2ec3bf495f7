"""Where the software under test comes from, pinned by the digest of what is fetched."""

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from steps.lib.models.base import FieldError, Model

STEP = r"\.?[^/.][^/]*"
"""One part of a path: neither ``.`` nor ``..``, so that paths lead nowhere but downwards."""

RelativePath = Annotated[str, StringConstraints(pattern=rf"^{STEP}(/{STEP})*$")]
AbsolutePath = Annotated[str, StringConstraints(pattern=rf"^(/{STEP})+$")]

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]


class Origin(Model):
    """Files that are fetched: one file, or one file or folder of an archive."""

    url: Annotated[str, StringConstraints(pattern=r"^https://\S+$")] | None = Field(
        default=None, description="A manifest, or an archive (.tar.gz, .tgz) that holds it"
    )
    path: RelativePath | None = Field(
        default=None,
        description="File or folder in the archive, below its single top folder; empty for a file",
    )
    digest: Digest | None = Field(
        default=None,
        description="sha256 of what is installed; comes from `sources.lock.yaml`",
    )

    @model_validator(mode="after")
    def _one_part_of_an_archive_or_a_file(self) -> Self:
        archive = (self.url or "").endswith((".tar.gz", ".tgz"))
        if archive and self.path is None:
            raise FieldError(
                "is missing; `url` is an archive: name the file or folder in it", "path"
            )
        if self.path is not None and not archive:
            raise FieldError("needs an archive (.tar.gz, .tgz) as `url`; leave it out", "path")
        return self

    @property
    def key(self) -> str:
        """``<url>#<path>``: its name in the lock file."""
        return f"{self.url}#{self.path or ''}"


class Source(Origin):
    """The software under test: name and version for people, the origin for the installer."""

    name: str = Field(description="Project or module, for example a Go module path")
    version: str
