"""DuckDB for the monitor: in bounded memory, and below `var/` what does not fit."""

import os

import duckdb

from .. import paths

MEMORY = "500MB"
THREADS = 4  # each holds a row group or two


def connect() -> duckdb.DuckDBPyConnection:
    """A database in memory; close it, or use it as a context manager."""
    spill = paths.VAR / "spill"
    threads = min(THREADS, os.cpu_count() or 1)
    return duckdb.connect(
        config={"memory_limit": MEMORY, "threads": threads, "temp_directory": spill.as_posix()}
    )
