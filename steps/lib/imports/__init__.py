"""Published and existing results, brought into a store without mixing with what is measured."""

from steps.lib.imports.csv_infrabuilder import read_csv
from steps.lib.imports.runs import ENVIRONMENT_CLASS, Imported, ImportedRun
from steps.lib.imports.storing import Outcome, store_import

__all__ = [
    "ENVIRONMENT_CLASS",
    "Imported",
    "ImportedRun",
    "Outcome",
    "read_csv",
    "store_import",
]
