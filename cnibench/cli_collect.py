"""The verb ``collect``."""

from typing import Annotated

import typer

from cnibench import show
from steps.lib.documents import suggest
from steps.lib.errors import InputError
from steps.lib.store import collect as collect_campaign
from steps.lib.store import open_store
from steps.lib.store.keys import campaign_of, prefix


def collect(
    store: Annotated[
        str,
        typer.Option("--store", envvar="CNIBENCH_STORE", help="Directory, or s3://bucket/prefix"),
    ] = "results",
    campaign: Annotated[
        str | None, typer.Option("--campaign", help="Only this campaign; default: all")
    ] = None,
) -> None:
    """Put a campaign's many small objects together, so that others read the store quickly."""
    opened = open_store(store, create=False)
    listed = (campaign_of(stored.key) for stored in opened.objects(prefix("campaigns")))
    known = sorted({name for name in listed if name})
    if campaign is not None and campaign not in known:
        raise InputError(f"campaign {campaign!r} is not in the store; {suggest(campaign, known)}")
    done = [
        (name, *vars(found).values())
        for name in ([campaign] if campaign else known)
        for found in collect_campaign(opened, name)
    ]
    columns = ("campaign", "table", "collected before", "now", "in parts", "left single")
    show.rows(columns, done, show.Format.table)
