"""Published and existing results, brought into a store without mixing with what is measured."""

from steps.lib.imports.csv_infrabuilder import read_csv
from steps.lib.imports.files import FORMS, read_results
from steps.lib.imports.names import Names
from steps.lib.imports.runs import ENVIRONMENT_CLASS, Found, Imported, ImportedRun
from steps.lib.imports.storing import Outcome, store_import

__all__ = [
    "ENVIRONMENT_CLASS",
    "FORMS",
    "Found",
    "Imported",
    "ImportedRun",
    "Names",
    "Outcome",
    "read_csv",
    "read_results",
    "store_import",
]
