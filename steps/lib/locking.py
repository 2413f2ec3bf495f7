"""The lock file of the catalog's sources: fetching each anew and recording what was found."""

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ruamel.yaml import YAML

from steps.lib import sources
from steps.lib.catalog import LOCK, Catalog, Job, origins, with_digests
from steps.lib.errors import CnibenchError
from steps.lib.models import Origin

HEADER = "# Written by `cnibench catalog lock`; do not edit.\n"


@dataclass(frozen=True)
class Locked:
    """What came of one source. ``found`` is None where it could not be fetched."""

    key: str
    before: str | None
    found: str | None
    problem: str = ""

    @property
    def outcome(self) -> str:
        """In words, for people."""
        if self.found is None:
            return f"not fetched: {self.problem}"
        if self.before is None:
            return f"new: {self.found}"
        return "unchanged" if self.before == self.found else f"changed to {self.found}"


def lock(catalog: Catalog, names: Iterable[str] = ()) -> list[Locked]:
    """Fetch the sources of these plugins, or of all, and record their digests.

    One that cannot be fetched keeps the digest that it has.

    Raises:
        InputError: a plugin's name is not in the catalog.
    """
    plugins = [catalog.plugins.load(n) for n in tuple(names) or catalog.plugins.names]
    fetched = {origin.key: origin for plugin in plugins for origin in origins(plugin)}
    locked = [_fetched(origin) for origin in fetched.values()]
    write(catalog, {found.key: found.found for found in locked if found.found is not None})
    return sorted(locked, key=lambda found: found.key)


def write(catalog: Catalog, found: Mapping[str, str]) -> None:
    """Add digests to the lock file, and drop those of sources that no plugin has any more."""
    known = {origin.key for plugin in catalog.plugins for origin in origins(plugin)}
    digests = {k: d for k, d in sorted({**catalog.lock, **found}.items()) if k in known}
    yaml = YAML()
    yaml.width = 4096
    stream = io.StringIO()
    yaml.dump({"sources": digests}, stream)
    (catalog.root / LOCK).write_text(HEADER + stream.getvalue(), encoding="utf-8")


def pinned(job: Job) -> Job:
    """The job with a digest for each of its sources: what lies there now, where none is known.

    So what an unlocked source gave is recorded with the campaign, and all its blocks install that.

    Raises:
        CnibenchError: a source cannot be fetched.
    """
    missing = [o for plugin in job.plugins for o in origins(plugin) if o.digest is None]
    found = {o.key: sources.digest_of(sources.fetch(o, allow_unlocked=True)) for o in missing}
    plugins = tuple(with_digests(plugin, found) for plugin in job.plugins)
    return job.model_copy(update={"plugins": plugins})


def _fetched(origin: Origin) -> Locked:
    try:
        place = sources.download(origin.model_copy(update={"digest": None}))
    except CnibenchError as error:
        return Locked(origin.key, origin.digest, None, str(error))
    return Locked(origin.key, origin.digest, sources.digest_of(place))
