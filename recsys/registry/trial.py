"""Two versions on the same users and targets: what each gave, user by user. Compares nothing, see `rules`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch

from recsys import columns
from recsys.context.batch import FeatureRow
from recsys.context.folding import USERS_A_CHUNK, RowFolder
from recsys.context.profile_values import typed_profile
from recsys.context.rows import feature_rows
from recsys.data.schema import WorkspaceSchema
from recsys.evaluation.calibrating import calibrates
from recsys.evaluation.full_ranking import MODEL
from recsys.evaluation.groups import HISTORY, OTHER, history_buckets, profile_groups
from recsys.evaluation.later_events import Source, UnseenTargets
from recsys.evaluation.measurement import measure
from recsys.ranking.recommender import Recommender
from recsys.registry.policy import FIGURES, LOG_LOSS
from recsys.workspace import Workspace

_TIMED = 60
_WARM_UP = 10


@dataclass(frozen=True, slots=True)
class Showing:
    """What one version gave.

    Attributes:
        figures: (users,) each, by name; the log-loss is not finite where no target may be recommended.
        list_probabilities: (users,) calibrated, that a target is in the top 10.
        hit: (users,) bool: it was.
    """

    figures: Mapping[str, np.ndarray]
    list_probabilities: np.ndarray
    hit: np.ndarray


@dataclass(frozen=True, slots=True)
class Trial:
    """Both versions on the same users.

    Attributes:
        source: where the targets come from.
        candidate: the version to promote.
        champion: the present champion.
        groups: (users,) group names, by what they are grouped by; None for who is in no group.
        fresh: (users,) bool: whose targets calibrated neither version.
        milliseconds: (calls,) of one answer: candidate's, champion's.
    """

    source: Source
    candidate: Showing
    champion: Showing
    groups: Mapping[str, Sequence[str | None]]
    fresh: np.ndarray
    milliseconds: tuple[np.ndarray, np.ndarray]

    def __len__(self) -> int:
        return len(self.fresh)


def hold_trial(
    workspace: Workspace, candidate: Recommender, champion: Recommender, targets: UnseenTargets, smallest_group: int
) -> Trial:
    """Lets both versions answer, each with contexts of its own version of the features, strictly before the target.

    Args:
        workspace: whose log and catalogue.
        candidate: the version to promote.
        champion: the present champion.
        targets: of at least two users; no version was fitted on them.
        smallest_group: categories with fewer users make no group.
    """
    own = contexts_before(workspace, candidate.schema, targets)
    same = candidate.schema == champion.schema
    others = own if same else contexts_before(workspace, champion.schema, targets)
    later = targets.source == "later events"
    return Trial(
        source=targets.source,
        candidate=_showing(candidate, own, targets),
        champion=_showing(champion, others, targets),
        groups=_groups(own, candidate.schema, smallest_group),
        fresh=np.ones(len(targets), dtype=bool) if later else ~calibrates(targets.user_ids),
        milliseconds=answer_times((candidate, own), (champion, others)),
    )


def contexts_before(workspace: Workspace, schema: WorkspaceSchema, targets: UnseenTargets) -> list[FeatureRow]:
    """Each user's feature row strictly before the target, by the fold that makes every stored row."""
    folder = RowFolder.of(workspace, schema)
    asked = pl.DataFrame({columns.USER_ID: targets.user_ids, columns.EFFECTIVE_AT: targets.moments})
    rows: dict[str, FeatureRow] = {}
    for some in asked.iter_slices(USERS_A_CHUNK):
        folded = folder.before(some).to_dict(as_series=False)
        rows |= dict(zip(folded[columns.USER_ID], feature_rows(folded, schema), strict=True))
    return [rows[user_id] for user_id in targets.user_ids]


def answer_times(
    candidate: tuple[Recommender, Sequence[FeatureRow]], champion: tuple[Recommender, Sequence[FeatureRow]]
) -> tuple[np.ndarray, np.ndarray]:
    """Milliseconds of one user's top 10, the two in turn so that a busy machine slows both; one thread, as served."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        taken: tuple[list[float], list[float]] = ([], [])
        for call in range(_WARM_UP + _TIMED):
            for place, (recommender, rows) in enumerate((candidate, champion)):
                started = time.perf_counter()
                recommender.recommend([rows[call % len(rows)]], k=10)
                if call >= _WARM_UP:
                    taken[place].append(1_000 * (time.perf_counter() - started))
    finally:
        torch.set_num_threads(threads)
    return np.array(taken[0]), np.array(taken[1])


def _showing(recommender: Recommender, rows: Sequence[FeatureRow], targets: UnseenTargets) -> Showing:
    measured = measure(recommender, rows, targets.targets, {})
    figures = {name: measured.figures[MODEL][name] for name in FIGURES if name != LOG_LOSS}
    return Showing(
        figures=figures | {LOG_LOSS: measured.log_losses[MODEL]},
        list_probabilities=measured.list_probabilities,
        hit=np.asarray(measured.hits.any(1)),
    )


def _groups(rows: Sequence[FeatureRow], schema: WorkspaceSchema, smallest: int) -> dict[str, Sequence[str | None]]:
    categorical = {name: kind for name, kind in schema.user_columns.items() if kind == "categorical"}
    profiles = [typed_profile(row.profile, categorical) for row in rows]
    found: dict[str, Sequence[str | None]] = {
        HISTORY: history_buckets(np.array([row.event_count for row in rows], dtype=np.int64))
    }
    for column in categorical:
        labels = profile_groups([profile[column] for profile in profiles], smallest)
        found[column] = [None if label == OTHER else label for label in labels]
    return found
