"""Small workspaces for the jobs that train and evaluate, with a body that needs neither Ray nor time."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from recsys.data.canonical import with_event_ids
from recsys.data.imported import ImportedData
from recsys.data.schema import WorkspaceSchema
from recsys.workspace import Workspace

N_ITEMS = 25
CODE_HASH = "recsys.jobs.previous_training.code_hash"
"""Held still, so that a file saved while the tests run does not make the trained model look outdated."""
SETTINGS = (
    "body.width=8",
    "body.heads=1",
    "body.layers=1",
    "body.length=10",
    "generator.epochs=2",
    "generator.held_out_users=0.3",
    "memories.memory.ridges=[5.0, 5.0]",
)


def _interactions(users: int, events: int) -> list[tuple[str, str, int]]:
    """Users walk through neighbouring items, a minute between events, and skip some."""
    rng = np.random.default_rng(3)
    rows = []
    for user in range(users):
        steps = rng.integers(1, 3, events).cumsum() + rng.integers(0, N_ITEMS)
        rows += [(f"u{user:02d}", f"i{step % N_ITEMS:02d}", n) for n, step in enumerate(steps)]
    return rows


@pytest.fixture(scope="session")
def imported_data():
    """Makes a data set; `last` maps (user, item) of each user's `of_last` last events to another item."""

    def make(*, users: int = 40, events: int = 8, last=None, of_last=2, extra=()) -> ImportedData:
        rows = _interactions(users, events)
        if last is not None:
            rows = [(user, last(user, item) if n >= events - of_last else item, n) for user, item, n in rows]
        rows += list(extra)
        schema = WorkspaceSchema(name="x", user_columns={"age": "numeric"})
        types = {"user_id": pl.String, "item_id": pl.String, "occurred_at": pl.Int64}
        frame = pl.DataFrame(rows, schema=types, orient="row").with_columns(
            occurred_at=pl.lit(1_600_000_000_000_000, pl.Int64) + pl.col("occurred_at") * 60_000_000,
            event=pl.lit(None, pl.String),
            value=pl.lit(1.0, pl.Float32),
        )
        ids = sorted({row[0] for row in rows})
        return ImportedData(
            source="by hand",
            events=with_event_ids(frame),
            users=pl.DataFrame({"user_id": ids, "age": [20.0 + len(user) for user in ids]}),
            items=pl.DataFrame(schema=schema.items_frame_schema()),
            schema=schema,
        )

    return make


@pytest.fixture(scope="session")
def quick_config():
    """Makes a configuration that trains in a moment."""
    from recsys.training.config import load_config

    return lambda *more: load_config(overrides=[*SETTINGS, *more])


@pytest.fixture(scope="session")
def random_body_fit():
    """What stands in for the body's fit."""
    return random_body


@pytest.fixture
def quick_body(monkeypatch):
    """Replaces the body's fit on Ray; gives the sequences that it was handed."""
    handed = []

    def fit(sequences, attributes, config, progress, **kinds):
        handed.append(sequences)
        return random_body(sequences, attributes, config, progress, **kinds)

    monkeypatch.setattr("recsys.training.stages.fit_body_expert", fit)
    return handed


def random_body(sequences, attributes, config, progress, *, clock, start=None, kept=None):
    """In the place of `fit_body_expert`: a body that learned nothing, at once."""
    import torch

    from recsys.experts.body import BodyExpert, SequenceEncoder
    from recsys.training.distributed import BodyRun

    torch.manual_seed(config.seed)
    items = torch.randn(attributes.n_items + 1, config.body.width)
    items[0] = 0
    shape = config.body.model_copy(update={"clock": clock, "baskets": sequences.baskets})
    return BodyRun(BodyExpert(SequenceEncoder(shape), items), (1.0,))


@pytest.fixture(scope="session")
def trained_films(tmp_path_factory, imported_data, quick_config):
    """A workspace with one registered version and its champion; do not write to it. With the run's result."""
    from recsys.jobs.ingest import ingest
    from recsys.jobs.train import train
    from recsys.registry.promotion import promote

    workspace = Workspace("films", tmp_path_factory.mktemp("home"))
    ingest(workspace, imported_data())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recsys.training.stages.fit_body_expert", random_body)
        patch.setattr(CODE_HASH, lambda: "this code")
        result = train(workspace, quick_config())
    promote(workspace, by="test")
    return workspace, result


@pytest.fixture
def films(trained_films, tmp_path, monkeypatch):
    """A copy of the trained workspace that may be written to, found by the command line as well."""
    import shutil

    from recsys.workspace import HOME_VARIABLE

    monkeypatch.setattr(CODE_HASH, lambda: "this code")
    original, _ = trained_films
    home = tmp_path / "copied"
    shutil.copytree(original.home, home)
    monkeypatch.setenv(HOME_VARIABLE, str(home))
    return Workspace("films", home)
