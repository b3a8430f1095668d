"""The batch job: the champion's recommendations for many users, as partitioned files."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from recsys.batch.formats import FormatName
from recsys.batch.job import run_plan
from recsys.batch.plan import PARTITION_USERS, BatchPlan
from recsys.batch.rules import Rules
from recsys.batch.users import Audience, audience
from recsys.data.availability import unavailable_items
from recsys.data.schema import WorkspaceSchema
from recsys.errors import ConfigError, DataError
from recsys.jobs.batch_rules import NO_WISHES, Wishes
from recsys.registry.champion import Champion, opened_champion
from recsys.registry.leases import in_use
from recsys.workspace import Workspace

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class BatchResult:
    """A finished batch.

    Attributes:
        workspace: name of the workspace.
        folder: where the partitions lie.
        manifest: the `_SUCCESS` file.
        model_version: the champion's version.
        as_of: the moment of the contexts, ISO 8601 UTC.
        k: items a user asked for.
        users: users asked for.
        rows: recommendations written.
        unknown_users: users of whom nothing is known; they got what suits everybody.
        future_users: users with events that lie in the future; these events were left out.
        partitions: number of files.
        kept_partitions: how many of them were there from an earlier run.
        seconds: how long it took.
    """

    workspace: str
    folder: Path
    manifest: Path
    model_version: str
    as_of: str
    k: int
    users: int
    rows: int
    unknown_users: int
    future_users: int
    partitions: int
    kept_partitions: int
    seconds: float

    def as_dict(self) -> dict[str, object]:
        """Plain values, for --json."""
        return asdict(self) | {"folder": str(self.folder), "manifest": str(self.manifest)}


def batch(
    workspace: Workspace,
    *,
    k: int = 20,
    users_file: Path | None = None,
    out: Path | None = None,
    as_of: int | None = None,
    wishes: Wishes = NO_WISHES,
    form: FormatName = "parquet",
    partition_users: int = PARTITION_USERS,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> BatchResult:
    """Recommends what is available to many users, by the champion. Run again it keeps what is finished and still true.

    Args:
        workspace: the workspace.
        k: items a user.
        users_file: only these users (`recsys.batch.id_files.id_blocks`); None: everybody.
        out: folder of the result; None: one under the workspace that names all that decides its content.
        as_of: effective moment of the contexts, microseconds; None: just after the log's last event.
        wishes: which items a business asks for.
        form: format of the files.
        partition_users: users a file.
        on_progress: told users done and users in all.

    Raises:
        ConfigError: k is below 1, a filter is wrong, there is no champion, or the folder holds other files.
        DataError: a file of users or items cannot be used, no item is left, or there are no events.
        RegistryError: another batch is at this folder.
        BatchError: an actor failed, or the disk is full; finished partitions are kept.
    """
    if k < 1:
        raise ConfigError(f"k is {k}; ask for at least one item a user, for example --k 20.")
    started = time.monotonic()
    model, rules = _chosen(workspace, wishes)
    people = audience(workspace, WorkspaceSchema.load(workspace.schema_file), users_file=users_file, as_of=as_of)
    plan = BatchPlan(
        workspace=workspace.name,
        home=workspace.home,
        snapshot=model.folder,
        snapshot_hash=model.snapshot_hash,
        content_hash=model.content_hash,
        model_version=model.version,
        as_of=people.as_of,
        events_before=people.events_before,
        newest_event=people.newest_event,
        catalogue_position=people.catalogue_position,
        latest=people.latest,
        events_ahead=people.events_ahead,
        log_position=people.log_position,
        k=k,
        rules=rules,
        form=form,
        out=(out or _default_folder(workspace, model, people, k, rules, form, users_file is not None)).absolute(),
    )
    about = {
        "workspace": workspace.name,
        "model_version": model.version,
        "content_hash": model.content_hash,
        "as_of": plan.moment,
        "k": k,
        "format": form,
        "filters": [asdict(condition) for condition in wishes.conditions],
    }
    partitions = plan.partitions(people.users, partition_users)
    with in_use(workspace, model.version, "batch"):
        run = run_plan(plan, partitions, about, on_progress=on_progress)
    return BatchResult(
        workspace=workspace.name,
        folder=plan.out,
        manifest=run.manifest,
        model_version=model.version,
        as_of=plan.moment,
        k=k,
        users=sum(part.users for part in run.written),
        rows=sum(part.rows for part in run.written),
        unknown_users=sum(part.unknown_users for part in run.written),
        future_users=sum(part.future_users for part in run.written),
        partitions=len(partitions),
        kept_partitions=run.kept,
        seconds=round(time.monotonic() - started, 3),
    )


def _chosen(workspace: Workspace, wishes: Wishes) -> tuple[Champion, Rules]:
    """The champion, and which of its items may come; its tensors are let go again."""
    model, snapshot = opened_champion(workspace)
    rules = wishes.resolved(workspace)
    if not rules.leave_any_of(snapshot.vocabulary):
        raise DataError(
            "Of the items that the champion knows none is available and meets all filters and lists: there is nothing "
            "to recommend. New items can be recommended after the next training."
        )
    return model, rules


def _default_folder(
    workspace: Workspace,
    model: Champion,
    people: Audience,
    k: int,
    rules: Rules,
    form: FormatName,
    chosen_users: bool,
) -> Path:
    """A folder a model, moment, k, choice of items and users, so that a run never touches another one's files."""
    moment = (_EPOCH + timedelta(microseconds=people.as_of)).strftime("%Y%m%dT%H%M%S.%fZ")
    parts = [f"v{model.version}-{moment}-k{k}"]
    if rules != Rules(tuple(sorted(unavailable_items(workspace)))):
        parts.append(f"items-{rules.digest[:8]}")
    if chosen_users:
        parts.append(f"users-{people.users.digest}")
    if form != "parquet":
        parts.append(form)
    return workspace.recommendations / "-".join(parts)
