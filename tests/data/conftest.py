"""Folders of data as a user might bring them."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

NOW = 1_700_000_000.0
EVENTS = {"user_id": ["ann", "ann", "bob"], "item_id": ["x", "y", "x"], "timestamp": [1000, 2000, 3000]}


@pytest.fixture
def folder(tmp_path):
    """Makes a folder out of frames or texts by file name; events.parquet is a plain one unless given."""

    def make(name: str = "brought", **files: pl.DataFrame | dict | str | bytes) -> Path:
        place = tmp_path / name
        place.mkdir(exist_ok=True)
        files = {key.replace("_csv", ".csv").replace("_parquet", ".parquet"): value for key, value in files.items()}
        if not any(key.startswith("events") for key in files):
            files["events.parquet"] = EVENTS
        for key, content in files.items():
            _write(place / key, content)
        return place

    return make


def _write(path: Path, content: pl.DataFrame | dict | str | bytes) -> None:
    if isinstance(content, str):
        path.write_text(content)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        frame = content if isinstance(content, pl.DataFrame) else pl.DataFrame(content)
        frame.write_csv(path) if path.suffix == ".csv" else frame.write_parquet(path)
