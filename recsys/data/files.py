"""Finding and reading the parquet or csv files of a folder. It does not know what their columns are for."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from recsys.columns import ITEM_ID, USER_ID
from recsys.data.findings import Findings

SUFFIXES = (".parquet", ".csv")
JSON_LINES = (".jsonl", ".ndjson")


def find_table(folder: Path, stem: str, findings: Findings) -> Path | None:
    """The file `stem`.parquet or `stem`.csv of the folder; None when there is none (or both: a problem)."""
    found = [folder / f"{stem}{suffix}" for suffix in SUFFIXES if (folder / f"{stem}{suffix}").is_file()]
    if len(found) > 1:
        findings.problem(f"{stem}.*", f"both {found[0].name} and {found[1].name} are there; remove one of them")
        return None
    return found[0] if found else None


def read_table(path: Path, findings: Findings) -> pl.DataFrame | None:
    """The rows of a parquet, csv or JSON-lines file in their order; None, and a problem, when there are none to read.

    In csv files ids stay text as written ("007" stays "007"); other columns' types are inferred from all rows.
    """
    try:
        frame = _read(path)
    except pl.exceptions.NoDataError:
        findings.problem(path.name, "the file is empty")
        return None
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        reason = str(error).strip().split("\n")[0]
        findings.problem(path.name, f"it cannot be read as {path.suffix[1:]} ({reason})")
        return None
    if frame.height == 0:
        findings.problem(path.name, "the file has no rows")
        return None
    return frame


def _read(path: Path) -> pl.DataFrame:
    if path.suffix in JSON_LINES:
        return pl.read_ndjson(path, infer_schema_length=None)
    return _read_csv(path) if path.suffix == ".csv" else pl.read_parquet(path)


def _read_csv(path: Path) -> pl.DataFrame:
    header = pl.read_csv(path, n_rows=0).columns
    as_text = {name: pl.String() for name in (USER_ID, ITEM_ID) if name in header}
    return pl.read_csv(path, schema_overrides=as_text, infer_schema_length=None)
