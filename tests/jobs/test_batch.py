"""A batch as a job: what it refuses before any work, and what of an earlier run is no longer true."""

from dataclasses import replace

import polars as pl
import pytest

from recsys.cluster import ray_cluster
from recsys.errors import DataError
from recsys.jobs.batch import batch
from recsys.jobs.batch_rules import Wishes
from recsys.jobs.ingest import ingest
from recsys.jobs.materialise import materialise

pytestmark = pytest.mark.slow


def test_where_the_model_knows_none_of_the_chosen_items_it_says_so_before_any_work(films, tmp_path):
    (tmp_path / "items.txt").write_text("unheard-of\n")
    with pytest.raises(DataError, match="there is nothing to recommend"):
        batch(films, out=tmp_path / "out", wishes=Wishes(include_only=tmp_path / "items.txt"))
    assert not (tmp_path / "out").exists()


def test_what_was_made_for_other_profiles_is_made_again(films, imported_data, tmp_path):
    asked = {"k": 2, "out": tmp_path / "out"}
    materialise(films)
    with ray_cluster():
        batch(films, **asked)
        assert batch(films, **asked).kept_partitions == 1
        data = imported_data()
        ingest(films, replace(data, users=data.users.with_columns(pl.col("age") + 30)))
        assert batch(films, **asked).kept_partitions == 0
