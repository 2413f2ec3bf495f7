"""The catalog: what campaigns can name, as files. The listing of a folder is the registry."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

from ruamel.yaml.comments import CommentedMap, CommentedSeq

from steps.lib.documents import line_of, read_yaml, suggest, validate
from steps.lib.errors import InputError
from steps.lib.explain import kind_of
from steps.lib.models import (
    Applied,
    Campaign,
    Digest,
    Entry,
    Matrix,
    Model,
    Origin,
    Plugin,
    Profile,
    TargetSpec,
)

CATALOG = Path(__file__).parents[2] / "workflows" / "catalog"


def default_root() -> Path:
    """The catalog's folder: that of this repository unless ``CNIBENCH_CATALOG`` names another."""
    return Path(os.environ.get("CNIBENCH_CATALOG", CATALOG))


LOCK = "sources.lock.yaml"
"""Beside the folders: what `cnibench catalog lock` found at the sources of all plugins."""

APPENDED = ("entries",)
"""Lists that a child adds to; every other list replaces its parent's."""

EntryT = TypeVar("EntryT", Plugin, Profile, Matrix, TargetSpec)


@dataclass(frozen=True)
class Folder(Generic[EntryT]):
    """One folder of the catalog: file name = name of the entry."""

    path: Path
    model: type[EntryT]
    finish: Callable[[EntryT], EntryT] = lambda entry: entry

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(sorted(p.stem for p in self.path.glob("*.yaml")))

    def __iter__(self) -> Iterator[EntryT]:
        """All entries, loaded."""
        return (self.load(name) for name in self.names)

    def load(self, name: str) -> EntryT:
        """One entry by name, with what it ``extends`` merged in.

        Raises:
            InputError: no such file, a field is wrong, or ``extends`` runs in a circle.
        """
        if name not in self.names:
            raise InputError(f"{self._path(name)}: no such file; {suggest(name, self.names)}")
        return self.finish(self._validated(name, self._merged(name, ())))

    def _path(self, name: str) -> Path:
        return self.path / f"{name}.yaml"

    def _validated(self, name: str, document: CommentedMap) -> EntryT:
        path = self._path(name)
        entry = validate(self.model, document, path)
        if entry.name != name:
            raise InputError(
                f"{path}:{line_of(document, ['name'])}: name: is {entry.name!r}; write {name!r}, "
                "the name of the file, or rename the file"
            )
        return entry

    def _merged(self, name: str, above: tuple[str, ...]) -> CommentedMap:
        document = read_yaml(self._path(name))
        if "extends" not in document:
            return document
        where = f"{self._path(name)}:{line_of(document, ['extends'])}: extends:"
        parent = document.pop("extends")
        if parent not in self.names:
            found = repr(parent) if isinstance(parent, str) else kind_of(parent)
            known = [n for n in self.names if n != name]
            raise InputError(
                f"{where} must name a file beside this one, found {found}; "
                f"{suggest(str(parent), known)}"
            )
        chain: tuple[str, ...] = (*above, name)
        if parent in chain:
            circle = " -> ".join((*chain, parent))
            raise InputError(f"{where} runs in a circle: {circle}; take one `extends` away")
        inherited = self._merged(parent, chain)
        # A mistake of the parent is reported where it stands.
        self._validated(parent, inherited)
        return _merge(inherited, document)


def _merge(parent: CommentedMap, child: CommentedMap) -> CommentedMap:
    """Mappings merge, values and lists replace, the lists of ``APPENDED`` grow.

    The child's document is what is returned, so that line numbers in errors are the child's. A
    mapping of the child that names another ``kind`` or ``mechanism`` replaces its parent's.
    """
    for key, inherited in parent.items():
        own = child.get(key)
        if key not in child:
            child[key] = inherited
        elif key in APPENDED and isinstance(own, CommentedSeq):
            child[key] = _appended(inherited, own)
        elif (
            isinstance(own, CommentedMap) and isinstance(inherited, dict) and _same(own, inherited)
        ):
            _merge(CommentedMap(inherited), own)
    return child


def _appended(inherited: list[Any], own: CommentedSeq) -> CommentedSeq:
    """Both lists; an own entry replaces the inherited one of its kind and name."""
    replaced = {_key(entry) for entry in own if isinstance(entry, dict)}
    kept = [entry for entry in inherited if _key(entry) not in replaced]
    merged = CommentedSeq([*kept, *own])
    merged.lc.data = {len(kept) + index: place for index, place in (own.lc.data or {}).items()}
    return merged


def _key(entry: dict[str, Any]) -> tuple[object, object]:
    """What tells entries of ``APPENDED`` apart, in the words of the document."""
    return entry.get("kind", Entry.model_fields["kind"].default), entry.get("name", "")


def _same(child: CommentedMap, parent: dict[str, Any]) -> bool:
    """Whether both describe the same variety of a thing."""
    return all(child.get(tag, parent.get(tag)) == parent.get(tag) for tag in ("kind", "mechanism"))


class Lock(Model):
    """The lock file: the digest of each source, by ``Origin.key``."""

    sources: dict[str, Digest]


@dataclass(frozen=True)
class Catalog:
    """All that campaigns can name."""

    root: Path = field(default_factory=default_root)

    @property
    def plugins(self) -> Folder[Plugin]:
        """The plugins, with the digests of their sources."""
        return Folder(self.root / "plugins", Plugin, lambda plugin: with_digests(plugin, self.lock))

    @cached_property
    def lock(self) -> Mapping[str, str]:
        """Digest of each source that was locked.

        Raises:
            InputError: the lock file is not what `cnibench catalog lock` writes.
        """
        path = self.root / LOCK
        return validate(Lock, read_yaml(path), path).sources if path.exists() else {}

    @property
    def profiles(self) -> Folder[Profile]:
        """The tuning profiles."""
        return Folder(self.root / "profiles", Profile)

    @property
    def matrices(self) -> Folder[Matrix]:
        """The traffic matrices."""
        return Folder(self.root / "matrices", Matrix)

    @property
    def targets(self) -> Folder[TargetSpec]:
        """The clusters that forms offer; a campaign's file says its target itself."""
        return Folder(self.root / "targets", TargetSpec)


def origins(plugin: Plugin) -> tuple[Origin, ...]:
    """All that is fetched to install a plugin."""
    crds = plugin.install.crds if isinstance(plugin.install, Applied) else None
    return tuple(o for o in (plugin.source, crds) if o is not None and o.url is not None)


def with_digests(plugin: Plugin, digests: Mapping[str, str]) -> Plugin:
    """The plugin, its sources with the digests that are known of them."""
    changes: dict[str, object] = {"source": _with_digest(plugin.source, digests)}
    if isinstance(plugin.install, Applied) and plugin.install.crds is not None:
        crds = _with_digest(plugin.install.crds, digests)
        changes["install"] = plugin.install.model_copy(update={"crds": crds})
    return plugin.model_copy(update=changes)


def _with_digest(origin: Origin, digests: Mapping[str, str]) -> Origin:
    return origin.model_copy(update={"digest": digests.get(origin.key, origin.digest)})


class Job(Model):
    """A campaign with everything it names: complete in itself, so that it can travel as JSON."""

    campaign: Campaign
    plugins: tuple[Plugin, ...]
    profiles: tuple[Profile, ...]
    matrix: Matrix


def load_job(path: Path, catalog: Catalog | None = None) -> Job:
    """Load a campaign file and what it names.

    Raises:
        InputError: the campaign or an entry it names is wrong.
    """
    return complete(read_yaml(path), path, catalog or Catalog())


def complete(document: CommentedMap, source: Path, catalog: Catalog) -> Job:
    """Make the job from a campaign's document: what its names stand for comes along.

    Args:
        document: The campaign.
        source: Where it was read, for errors.
        catalog: Where its names are looked up.

    Raises:
        InputError: the campaign or an entry it names is wrong.
    """
    campaign = validate(Campaign, document, source)
    for place, known, names in (
        ("plugins", catalog.plugins.names, campaign.plugins),
        ("profiles", catalog.profiles.names, campaign.profiles),
        ("matrix", catalog.matrices.names, (campaign.matrix,)),
    ):
        for index, name in enumerate(names):
            if name not in known:
                where = f"{source}:{line_of(document, (place, index))}: {place}"
                raise InputError(f"{where}: {name!r} is not in the catalog; {suggest(name, known)}")
    return Job(
        campaign=campaign,
        plugins=tuple(catalog.plugins.load(n) for n in campaign.plugins),
        profiles=tuple(catalog.profiles.load(n) for n in campaign.profiles),
        matrix=catalog.matrices.load(campaign.matrix),
    )
