"""Names of objects: pure functions of identities, so that a retry or a race meets the same key.

    campaigns/campaign=<c>/campaign.parquet
    planned/campaign=<c>/planned.parquet
    blocks/campaign=<c>/<block>.<install_id>.parquet                            nodes/ likewise
    measurements/campaign=<c>/block=<block>/<cell>.parquet
    intervals/campaign=<c>/block=<block>/<cell>.<measurement_id>.parquet        histograms/ likewise
    raw/campaign=<c>/block=<block>/<cell>.<measurement_id>.json.zst
    collected/<table>/campaign=<c>/<digest>.parquet            many of the above, see ``collected``

The key of a measurement holds no attempt: whoever creates it first has measured the cell. Its
intervals, histograms and raw output are written before it, each under the attempt's own id; those
of an attempt that was killed in between or came second belong to nothing, and readers drop them.
"""

import re

from steps.lib.errors import CnibenchError

MARKER = "cnibench-store.json"

_PATTERNS = {
    "campaigns": "campaigns/campaign={campaign}/campaign.parquet",
    "planned": "planned/campaign={campaign}/planned.parquet",
    "blocks": "blocks/campaign={campaign}/{block}.{install_id}.parquet",
    "nodes": "nodes/campaign={campaign}/{block}.{install_id}.parquet",
    "measurements": "measurements/campaign={campaign}/block={block}/{cell}.parquet",
    "intervals": "intervals/campaign={campaign}/block={block}/{cell}.{measurement_id}.parquet",
    "histograms": "histograms/campaign={campaign}/block={block}/{cell}.{measurement_id}.parquet",
    "raw": "raw/campaign={campaign}/block={block}/{cell}.{measurement_id}.json.zst",
}

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_CAMPAIGN = re.compile(r"[^/]+/campaign=([^/]+)/")


def key(kind: str, **parts: str) -> str:
    """The object key of one write.

    Args:
        kind: A table, or ``raw``.
        parts: Exactly the identities that the pattern names.

    Raises:
        CnibenchError: an identity is missing, too many, or not safe in a path.
    """
    pattern = _PATTERNS[kind]
    wanted = set(re.findall(r"{(\w+)}", pattern))
    if wanted != set(parts):
        raise CnibenchError(f"key of {kind}: needs {sorted(wanted)}, was given {sorted(parts)}")
    for name, value in parts.items():
        if not is_safe(value):
            raise CnibenchError(f"key of {kind}: {name} {value!r} is not safe in an object key")
    return pattern.format(**parts)


def is_safe(identity: str) -> bool:
    """Whether an identity can stand in an object key."""
    return _SAFE.fullmatch(identity) is not None


def prefix(kind: str, campaign: str | None = None) -> str:
    """What the keys of a table start with; of one campaign, if given."""
    return f"{kind}/" if campaign is None else f"{kind}/campaign={campaign}/"


def cells_prefix(campaign: str, block: str) -> str:
    """What the keys of a block's measurements start with."""
    return key("measurements", campaign=campaign, block=block, cell="x").removesuffix("x.parquet")


def campaign_of(object_key: str) -> str | None:
    """The campaign an object belongs to; None where the key is not one of ours."""
    match = _CAMPAIGN.match(object_key)
    return match[1] if match else None
