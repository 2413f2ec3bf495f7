"""Stage after a campaign's blocks on Argo: put its many small objects together for all readers."""

from typing import Annotated

from hera.workflows import Input, Output, Parameter

from steps.lib.stage import CampaignParameter, StoreParameter, stage
from steps.lib.store import collect, open_store


class CollectCampaignInput(Input):
    """A campaign that the store knows."""

    campaign: CampaignParameter
    store: StoreParameter


class CollectCampaignOutput(Output):
    """What became of its objects."""

    collected: Annotated[
        int, Parameter(name="collected", description="Small objects that were put into larger ones")
    ]


@stage(deadline_s=1800, retries=2)
def collect_campaign(collect_input: CollectCampaignInput) -> CollectCampaignOutput:
    """Collect what is not collected yet, as ``cnibench collect`` does.

    Reads: the campaign's objects.
    Writes: further objects below ``collected/``; changes and removes nothing.
    Fails when: the store does not answer; what is written stays, and the next one goes on there.
    """
    done = collect(open_store(collect_input.store), collect_input.campaign)
    return CollectCampaignOutput(collected=sum(table.new for table in done))
