"""What a training run sees of a workspace: the log up to a position, as sequences over a vocabulary, and profiles."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys import columns
from recsys.context.profile import ProfileEncoding
from recsys.context.sequences import Sequences, build_sequences
from recsys.data.catalogue import Catalogue
from recsys.data.schema import WorkspaceSchema
from recsys.errors import DataError
from recsys.events.log import EventLog
from recsys.events.ordering import interactions
from recsys.experts.linear import prefix_of_events
from recsys.training.attributes import ItemAttributes, item_attributes
from recsys.training.system_sizes import DataSizes
from recsys.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Dataset:
    """A workspace's data as of a log position.

    Attributes:
        schema: what the data mean.
        interactions: positive events in order; `value` is the event's weight, 1 where no kind has one.
        sequences: the same as flat arrays.
        vocabulary: ids of all items with a positive event, sorted; item i has index i + 1. Items that only the
            catalogue knows cannot be recommended: nothing collaborative is known of them.
        users: the catalogue's users.
        attributes: what the catalogue says of each item of the vocabulary.
        log_position: sequence of the newest event in it.
    """

    schema: WorkspaceSchema
    interactions: pl.DataFrame
    sequences: Sequences
    vocabulary: tuple[str, ...]
    users: pl.DataFrame
    attributes: ItemAttributes
    log_position: int

    @classmethod
    def load(cls, workspace: Workspace, upto: int | None = None, vocabulary: tuple[str, ...] | None = None) -> Dataset:
        """Reads the log up to a position (None: all of it).

        Args:
            workspace: whose log.
            upto: the log's position; None: all of it.
            vocabulary: the items that count, of which some may have no event; None: all with a positive event.

        Raises:
            DataError: there is no positive event.
        """
        schema = WorkspaceSchema.load(workspace.schema_file)
        log = EventLog(workspace.event_log)
        position = log.position() if upto is None else upto
        ordered = interactions(log.read(upto=position), schema)
        if not schema.events.weights:
            # Values alone (stars) say how much somebody liked an item, not how much the event counts.
            ordered = ordered.with_columns(pl.lit(1.0, dtype=pl.Float32).alias(columns.VALUE))
        ordered = ordered.with_columns(pl.col(columns.VALUE).clip(lower_bound=0))
        if vocabulary is not None:
            ordered = ordered.filter(pl.col(columns.ITEM_ID).is_in(list(vocabulary)))
        if ordered.is_empty():
            raise DataError(
                f"The workspace '{workspace.name}' has no positive event. Import some with: "
                f"recsys data import DIR --workspace {workspace.name}"
            )
        catalogue = Catalogue.load(workspace)
        if vocabulary is None:
            vocabulary = tuple(ordered[columns.ITEM_ID].unique().sort().to_list())
        return cls(
            schema=schema,
            interactions=ordered,
            sequences=build_sequences(ordered, vocabulary, baskets=schema.baskets),
            vocabulary=vocabulary,
            users=catalogue.users,
            attributes=item_attributes(catalogue.items, vocabulary, schema),
            log_position=position,
        )

    @property
    def sizes(self) -> DataSizes:
        """What memory goes by."""
        events = len(self.sequences.items)
        return DataSizes(
            n_items=len(self.vocabulary),
            n_attributes=self.attributes.n_attributes,
            n_events=events,
            n_prefixes=int(prefix_of_events(self.sequences).max(initial=-1)) + 1,
            n_repeatable=events if self.schema.repeats else 0,
        )

    def profile_encoding(self) -> ProfileEncoding:
        """Categories and scales of the users with events."""
        return ProfileEncoding.fit(self._profiles(), self.schema.user_columns)

    def encoded_profiles(self, encoding: ProfileEncoding) -> np.ndarray:
        """(users, width) float32 in the order of the sequences' users."""
        return encoding.encode(self._profiles())

    def fingerprint(self) -> str:
        """SHA-256 over everything that training reads."""
        digest = hashlib.sha256()
        flat = self.sequences
        described = self.attributes
        for array in (flat.offsets, flat.items, flat.times, flat.values, described.offsets, described.values):
            digest.update(np.ascontiguousarray(array).tobytes())
        profiles = json.dumps(self._profiles(), sort_keys=True)
        for text in (*flat.user_ids, *self.vocabulary, *described.names, profiles, repr(self.schema)):
            digest.update(text.encode() + b"\0")
        return digest.hexdigest()

    def _profiles(self) -> list[dict[str, object]]:
        wanted = pl.DataFrame({columns.USER_ID: list(self.sequences.user_ids)}, schema={columns.USER_ID: pl.String})
        known = wanted.join(self.users, on=columns.USER_ID, how="left", maintain_order="left")
        return (
            known.select(list(self.schema.user_columns)).to_dicts()
            if self.schema.user_columns
            else [{} for _ in self.sequences.user_ids]
        )
