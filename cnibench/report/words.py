"""Sentences of the report that depend on the campaign: where it ran, what it may be used for."""

from collections.abc import Iterator, Sequence

from cnibench.report import coverage
from cnibench.report.answers import Row
from cnibench.report.campaign import Campaign
from cnibench.report.numbers import counted, short
from steps.lib.models import PATHS
from steps.lib.statistics import TYPICAL_CV_PERCENT, detectable_percent

BLOCKS_MIN = 3
"""With fewer independent blocks a side nothing is ranked (measurement method, section 7.3)."""

SHORT_CELL_S = 30
"""Shorter cells show how the pipeline works; slow start and noise weigh too much in them."""

ENVIRONMENTS = {
    "single-kernel": (
        "Both nodes share one kernel and its CPUs, and the wire between them is a pair of virtual "
        "devices: these are CPU numbers, not link speeds."
    ),
}


def environment(name: str) -> str:
    """What a class of environment means for the numbers."""
    return ENVIRONMENTS.get(
        name, f"Environment class “{name}”. Numbers of different classes must not be compared."
    )


def notices(campaign: Campaign, outcomes: Sequence[Row], nodes: Sequence[Row]) -> Iterator[str]:
    """What must be known before any number is read."""
    yield environment(campaign.environment_class)
    totals = coverage.totals(outcomes)
    planned = sum(totals.values())
    if totals["missing"]:
        yield (
            f"Not complete, since it is running or was interrupted: {totals['missing']} of "
            f"{planned} planned runs are missing. The command that started it resumes it."
        )
    if not totals["ok"]:
        others = ", ".join(f"{count} {status}" for status, count in totals.items() if count)
        why = next((f" Most often: {r.reason}." for r in coverage.reasons(outcomes)), "")
        yield f"No run gave a number: {others or 'nothing was planned'}.{why}"
    if len(set(campaign.plugins) - {campaign.baseline}) == 1:
        yield "One plugin was asked for, so there is none to be better or worse than."
    environments = len({row["environment_fingerprint"] for row in nodes})
    if environments > 1:
        yield (
            f"The blocks ran in {environments} different environments (kernel, processor or tools "
            "changed): numbers of different ones are not comparable."
        )


def size(campaign: Campaign) -> str:
    """How many plugins, profiles and blocks of each were asked for."""
    plugins, profiles = len(campaign.plugins), len(campaign.profiles)
    blocks = counted(campaign.repeats, "independent block")
    return f"{counted(plugins, 'plugin')} × {counted(profiles, 'profile')} × {blocks}"


def path_in_words(path: str) -> str:
    """Who talks to whom."""
    return next((p.description for name, p in PATHS.items() if name == path), "")


def is_control(path: str) -> bool:
    """Whether no plugin is in the way, so that differences between plugins are chance or drift."""
    known = next((p for name, p in PATHS.items() if name == path), None)
    if known is None:
        return False
    ends = {known.client.kind, known.server.kind if known.server else known.client.kind}
    return known.address == "loopback" or ends == {"host"}


def limits(campaign: Campaign) -> Iterator[str]:
    """What the numbers may and may not be used for, one short sentence after the other."""
    yield environment(campaign.environment_class)
    seconds = sorted({int(t.document["duration_s"]) for t in campaign.traffic})
    if seconds and seconds[0] < SHORT_CELL_S:
        span = f"{seconds[0]}" if len(seconds) == 1 else f"{seconds[0]} to {seconds[-1]}"
        yield (
            f"Cells last {span} s. That is short: it shows how the pipeline works and finds large "
            f"differences; for numbers to build on use {SHORT_CELL_S} s or more."
        )
    yield _blocks(campaign.repeats)
    yield (
        "Intervals are of 95 %, over logarithms of blocks, each of one comparison by itself: of "
        "twenty pairs without a difference one is told apart by chance. `cnibench compare` "
        "corrects for their number."
    )
    yield "A number is about this machine, these versions and this traffic, and about nothing else."


def _blocks(repeats: int) -> str:
    text = f"Each plugin and profile has {counted(repeats, 'block')}. "
    if repeats < BLOCKS_MIN:
        text += f"With fewer than {BLOCKS_MIN} nothing is ranked. "
    seen = {what: detectable_percent(repeats, cv) for what, cv in TYPICAL_CV_PERCENT.items()}
    percents = [p for p in seen.values() if p is not None]
    if not percents:
        return text + "One block has no spread, so no difference can be shown."
    return text + (
        "On quiet physical machines that many see differences from "
        f"{short(min(percents))} % (many TCP streams) to {short(max(percents))} % (one TCP "
        "stream); on a busy or virtual machine only larger ones."
    )
