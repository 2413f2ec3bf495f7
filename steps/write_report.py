"""Last but one stage of a campaign on Argo: its report, as an artifact that the UI shows."""

import os
from pathlib import Path

from hera.workflows import Artifact, Input, NoneArchiveStrategy, Output

from steps.lib.database import open_database
from steps.lib.stage import CampaignParameter, StoreParameter, stage
from steps.lib.store import open_store

OUTPUTS = "/tmp/hera-outputs"
OUTPUTS_VARIABLE = "hera__outputs_directory"
"""Where Hera's runner has a pod's outputs, unless the environment variable names another place."""

FILE = "report.html"
"""The UI shows a file of this extension, unless it is packed."""


class WriteReportInput(Input):
    """A campaign that the store knows."""

    campaign: CampaignParameter
    store: StoreParameter


class WriteReportOutput(Output):
    """Nothing but the artifact."""


@stage(
    deadline_s=900,
    retries=2,
    artifacts=(Artifact(name="report", path=f"{OUTPUTS}/{FILE}", archive=NoneArchiveStrategy()),),
)
def write_report(report_input: WriteReportInput) -> WriteReportOutput:
    """Write the report of what is in the store, whether or not all blocks went well.

    Reads: the campaign's tables.
    Writes: one HTML file.
    Fails when: the store does not answer.
    """
    # It loads the plots' library, which no other stage needs.
    from cnibench.report import write_report as write

    folder = Path(os.environ.get(OUTPUTS_VARIABLE, OUTPUTS))
    write(open_database(open_store(report_input.store)), report_input.campaign, folder / FILE)
    return WriteReportOutput()
