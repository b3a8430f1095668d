"""Whatever happens in whatever order, what is read online is, byte for byte, what the log alone says; so is the top-20.

Events come in, late ones too; users are deleted, old events pruned; the catalogue changes; two folders take turns, one
of them writes late; readers restart; rows are materialised. After every step everybody's row is compared, in a
workspace with one version of the features, and in one that has been migrated to another: there both versions are
folded, written late and read.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import fields, replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from recsys.context.batch import ContextBatch
from recsys.context.folding import RowFolder
from recsys.context.kept_rows import KeptRow
from recsys.context.rows import feature_rows, unknown_user
from recsys.context.user_memory import UserMemory
from recsys.data.canonical import EVENT_SCHEMA
from recsys.data.imported import ImportedData
from recsys.data.schema import EventMeaning, WorkspaceSchema
from recsys.errors import LeaseError
from recsys.events.lease import FoldLease
from recsys.events.log import EventLog
from recsys.events.removals import Removals
from recsys.jobs.delete_users import delete_users
from recsys.jobs.feature_versions import migrate
from recsys.jobs.ingest import ingest
from recsys.jobs.materialise import materialise
from recsys.workspace import Workspace
from tests.properties.test_contexts import VOCABULARY, recommender_with

pytestmark = pytest.mark.slow

USERS = ("ann", "bob", "carl", "listed", "newbie")
SCHEMA = WorkspaceSchema(
    name="small",
    user_columns={"age": "numeric", "job": "categorical"},
    item_columns={"genre": "categorical"},
    repeats=True,
    events=EventMeaning(negative=("dislike",)),
)
MIGRATED = replace(SCHEMA, events=EventMeaning())
"""To this version a dislike is an event like any other."""
PAST, FUTURE, HOUR = 1_600_000_000_000_000, 2**60, 3_600_000_000
MOMENTS = (PAST, PAST + 7, FUTURE + 3, 2**62)

happenings = st.tuples(
    st.sampled_from(USERS[:3]),
    st.sampled_from(VOCABULARY),
    st.sampled_from([PAST, FUTURE]),
    st.integers(0, 12),
    st.sampled_from([None, "dislike"]),
)


class Parity(RuleBasedStateMachine):
    """One workspace and a plain list of what its log must hold."""

    schemas: tuple[WorkspaceSchema, ...] = (SCHEMA,)

    @initialize()
    def start(self) -> None:
        self.home = Path(tempfile.mkdtemp())
        self.workspace = self.new_workspace()
        SCHEMA.save(self.workspace.schema_file)
        self.workspace.users_file.parent.mkdir(parents=True)
        users = {"user_id": list(USERS[:4]), "age": [20.0, 20.5, None, 21.0], "job": ["x", None, "y", "z"]}
        pl.DataFrame(users).write_parquet(self.workspace.users_file)
        items = pl.DataFrame({"item_id": VOCABULARY[:3], "genre": ["u", "v", None]})
        items.write_parquet(self.workspace.items_file)
        self.log = EventLog(self.workspace.event_log)
        self.ahead, self.number = 0, 0
        self.expected: list[tuple[str, str, int]] = []
        self.deleted: set[str] = set()
        self.leases = [FoldLease(self.workspace.event_log, clock=self.clock) for _ in range(2)]
        self.tokens: list[int | None] = [None, None]
        self.rows: list[list[pl.DataFrame] | None] = [None, None]
        materialise(self.workspace)
        self.restart()

    def new_workspace(self) -> Workspace:
        """An empty one, on the engine that is looked at."""
        return Workspace("small", self.home)

    def clock(self) -> int:
        return time.time_ns() // 1000 + self.ahead

    @rule(happened=st.lists(happenings, min_size=1, max_size=6))
    def append(self, happened) -> None:
        rows = []
        for user, item, start, offset, kind in happened:
            self.number += 1
            rows.append((f"e{self.number}", user, item, start + offset, kind, 1.0))
            if start == FUTURE or user not in self.deleted:
                self.expected.append((f"e{self.number}", user, start + offset))
        self.log.append(pl.DataFrame(rows, schema=EVENT_SCHEMA, orient="row"))

    @rule(user=st.sampled_from(USERS))
    def delete(self, user) -> None:
        delete_users(self.workspace, [user])
        self.deleted.add(user)
        self.expected = [event for event in self.expected if event[1] != user]

    @rule(offset=st.integers(0, 12), keep_last=st.integers(0, 2))
    def prune(self, offset, keep_last) -> None:
        Removals(self.workspace.event_log).prune(PAST + offset, keep_last)
        newest = {
            event
            for user in USERS
            for event in sorted((e for e in self.expected if e[1] == user), key=lambda e: (e[2], int(e[0][1:])))[
                -keep_last or len(self.expected) :
            ]
        }
        self.expected = [event for event in self.expected if event[2] >= PAST + offset or event in newest]

    @rule(
        users=st.dictionaries(st.sampled_from(USERS), st.sampled_from([20.0, 20.5, None]), max_size=2),
        items=st.dictionaries(st.sampled_from(VOCABULARY), st.sampled_from(["u", "v", None]), max_size=1),
    )
    def import_again(self, users, items) -> None:
        schema = WorkspaceSchema.load(self.workspace.schema_file)
        frames = (
            pl.DataFrame({"user_id": list(users), "age": list(users.values()), "job": ["x"] * len(users)}),
            pl.DataFrame({"item_id": list(items), "genre": list(items.values())}),
        )
        types = (schema.users_frame_schema(), schema.items_frame_schema())
        users, items = (frame.cast(dict(kinds)) for frame, kinds in zip(frames, types, strict=True))
        nothing = pl.DataFrame(schema=EVENT_SCHEMA)
        ingest(self.workspace, ImportedData(source="again", events=nothing, users=users, items=items, schema=schema))

    @rule()
    def materialise(self) -> None:
        materialise(self.workspace)

    @rule(who=st.integers(0, 1), steps=st.integers(1, 3))
    def fold(self, who, steps) -> None:
        lease, token = self.leases[who], self.tokens[who]
        if token is None or not lease.renew(token):
            self.rows[who] = None
            self.tokens[who] = token = lease.acquire("serving")
        for reader in self.readers:
            for _ in range(steps if token is not None else 0):
                reader.catch_up(token)

    @rule(who=st.integers(0, 1))
    def fold_and_pause_before_writing(self, who) -> None:
        self.fold(who, 0)
        if self.tokens[who] is not None:
            self.rows[who] = [reader._folder.now(USERS) for reader in self.readers]

    @rule(who=st.integers(0, 1))
    def write_late(self, who) -> None:
        token, rows = self.tokens[who], self.rows[who]
        if token is None or rows is None:
            return
        try:
            for reader, own in zip(self.readers, rows, strict=True):
                reader._store.push(own, token)
        except LeaseError:
            assert max(0, *(other or 0 for other in self.tokens)) > token or not self.leases[who].renew(token)
            self.tokens[who] = None

    @rule(who=st.integers(0, 1), user=st.sampled_from(USERS[:3]), item=st.sampled_from(VOCABULARY))
    def be_deleted_while_a_folder_is_paused(self, who, user, item) -> None:
        self.append([(user, item, FUTURE, 0, None)])
        self.fold_and_pause_before_writing(who)
        self.delete(user)
        self.write_late(who)

    @rule(user=st.sampled_from(USERS[:3]), item=st.sampled_from(VOCABULARY))
    def be_pruned_once_stored(self, user, item) -> None:
        self.append([(user, item, PAST, 0, None)])
        self.materialise()
        self.prune(12, 0)

    @rule()
    def pass_an_hour(self) -> None:
        self.ahead += HOUR

    @rule()
    def restart(self) -> None:
        from recsys.context.reader import FeastReader

        memory: UserMemory[KeptRow] = UserMemory(10**6)
        self.readers = [FeastReader(self.workspace, schema, memory=memory) for schema in self.schemas]

    @invariant()
    def the_log_holds_what_was_acknowledged_and_not_removed(self) -> None:
        assert self.log.read()["event_id"].to_list() == [event_id for event_id, _, _ in self.expected]

    @invariant()
    def what_is_read_is_what_the_log_says(self) -> None:
        for reader in self.readers:
            self.read_and_compare(reader)

    def read_and_compare(self, reader) -> None:
        schema = reader.schema
        folder = RowFolder.of(self.workspace, schema)
        online, alone = reader.online(USERS), known(folder.now(USERS), schema)
        rebuilt = [alone.get(user, unknown_user(user, schema)) for user in USERS]
        assert list(map(repr, online)) == list(map(repr, rebuilt))
        assert [repr(reader.online([user])[0]) for user in USERS] == list(map(repr, rebuilt))  # kept, if it still holds
        pairs = [(user, moment) for user in USERS for moment in MOMENTS]
        frame = pl.DataFrame(pairs, schema={"user_id": pl.String, "effective_at": pl.Int64}, orient="row")
        before = folder.before(frame)
        then = dict(zip(before.select("user_id", "effective_at").rows(), as_rows(before, schema), strict=True))
        asked = reader.as_of(*map(list, zip(*pairs, strict=True)))
        assert asked == [then.get(pair, unknown_user(pair[0], schema)) for pair in pairs]
        self.compare(online, rebuilt)

    def compare(self, online, rebuilt) -> None:
        recommender = recommender_with("gated")
        for name in (field.name for field in fields(ContextBatch)):
            now, then = (getattr(recommender.encoder.encode(rows), name) for rows in (online, rebuilt))
            assert now.numpy().tobytes() == then.numpy().tobytes(), name
        now, then = (recommender.recommend(rows, k=20) for rows in (online, rebuilt))
        assert [(one.item_ids, one.scores) for one in now] == [(one.item_ids, one.scores) for one in then]

    def teardown(self) -> None:
        if hasattr(self, "home"):
            shutil.rmtree(self.home)


class MigratedParity(Parity):
    """The same once the workspace has another version beside its first, whose rows nobody materialises any longer."""

    @initialize()
    def start(self) -> None:
        super().start()
        self.append([("ann", "a", PAST, 1, None), ("ann", "b", PAST, 2, "dislike"), ("bob", "c", FUTURE, 1, "dislike")])
        self.materialise()
        MIGRATED.save(self.workspace.schema_file)
        migrate(self.workspace)
        self.schemas = (SCHEMA, MIGRATED)
        self.restart()
        older, newer = (reader.online(["ann"])[0].event_count for reader in self.readers)
        assert (older, newer) == (1, 2)


def as_rows(frame: pl.DataFrame, schema: WorkspaceSchema):
    return feature_rows(frame.to_dict(as_series=False), schema)


def known(frame: pl.DataFrame, schema: WorkspaceSchema):
    return {row.user_id: row for row in as_rows(frame, schema)}


Parity.TestCase.settings = settings(max_examples=6, stateful_step_count=14, deadline=None)
TestParity = Parity.TestCase
MigratedParity.TestCase.settings = settings(max_examples=3, stateful_step_count=10, deadline=None)
TestMigratedParity = MigratedParity.TestCase
