"""The verb ``sql``: SQL that a person writes, once or in a shell."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from cnibench import show
from steps.lib.database import open_database, setup
from steps.lib.errors import InputError
from steps.lib.sql import script as script_of
from steps.lib.store import Store, open_store

SHELL = "duckdb"
"""DuckDB's own command line: history, completion, help and every form of output are its."""


def sql(
    statement: Annotated[
        str | None,
        typer.Argument(help="SQL; `-` reads it from standard input; a shell if there is none"),
    ] = None,
    store: Annotated[
        str,
        typer.Option("--store", envvar="CNIBENCH_STORE", help="Directory, or s3://bucket/prefix"),
    ] = "results",
    form: Annotated[
        show.Format, typer.Option("--format", help="Form of the answer")
    ] = show.Format.table,
    script: Annotated[
        bool,
        typer.Option(
            "--script", help="Print SQL that opens the store in any DuckDB, and run nothing"
        ),
    ] = False,
) -> None:
    """Run SQL over the store's tables (measurements, ...), views and questions as table macros."""
    opened = open_store(store, create=False)
    if script:
        sys.stdout.write(script_of(opened))
    elif statement is None:
        _shell(opened)
    else:
        text = sys.stdin.read() if statement == "-" else statement
        show.relation(open_database(opened), text, form)


def _shell(store: Store) -> None:
    """DuckDB's shell on the copies of the store that questions are asked of, too."""
    if not sys.stdin.isatty():
        raise InputError("`sql` without SQL opens a shell, which needs a terminal; write `sql -`")
    raise typer.Exit(run_shell(store))


def run_shell(store: Store, *arguments: str) -> int:
    """Run DuckDB's command line with everything in it.

    Returns:
        Its exit status.

    Raises:
        InputError: the program is not there.
    """
    beside_python = Path(sys.executable).with_name(SHELL)
    program = str(beside_python) if beside_python.exists() else shutil.which(SHELL)
    if program is None:
        raise InputError(
            f"the shell is DuckDB's own, and no program `{SHELL}` was found: `make setup` installs "
            "it, or `pip install duckdb-cli`"
        )
    statements, _ = setup(store)
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write("".join(f"{s.strip().removesuffix(';')};\n" for s in statements))
        file.flush()
        return subprocess.run([program, "-init", file.name, *arguments], check=False).returncode
