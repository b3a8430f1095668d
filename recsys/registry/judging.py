"""Judges a version for promotion: loads it and the champion, lets both answer the same users, asks every rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from recsys.context.row_folders import materialisation_file
from recsys.context.rows import feature_service_name
from recsys.data.schema import WorkspaceSchema
from recsys.errors import SnapshotError
from recsys.evaluation.later_events import UnseenTargets, held_back_targets, later_targets
from recsys.events.log import EventLog
from recsys.ranking.recommender import Recommender
from recsys.registry.feature_lock import features_of
from recsys.registry.loading import load_recommender
from recsys.registry.policy import DataPolicy, EvidencePolicy, PromotionPolicy
from recsys.registry.rules import Finding, calibration, groups, latency, quality
from recsys.registry.snapshot import Snapshot
from recsys.registry.trial import hold_trial
from recsys.registry.versions import RegisteredVersion, loaded_snapshot
from recsys.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the policy says of a candidate.

    Attributes:
        findings: of every rule that was asked.
    """

    findings: tuple[Finding, ...]

    @property
    def allowed(self) -> bool:
        """Whether it may become the champion."""
        return all(finding.passed for finding in self.findings)

    @property
    def refusals(self) -> tuple[Finding, ...]:
        """What speaks against it."""
        return tuple(finding for finding in self.findings if not finding.passed)

    @property
    def reason(self) -> str:
        """The refusing rules with their figures, or all of them."""
        return " ".join(f"{finding.rule}: {finding.said}" for finding in self.refusals or self.findings)


Judge = Callable[[Workspace, RegisteredVersion, RegisteredVersion | None, PromotionPolicy], Verdict]


def judge(
    workspace: Workspace, candidate: RegisteredVersion, champion: RegisteredVersion | None, policy: PromotionPolicy
) -> Verdict:
    """Asks every rule that can be asked: of the first version only those that compare it with nothing.

    Args:
        workspace: whose log, catalogue and features.
        candidate: the version to promote.
        champion: the present champion; None: there is none.
        policy: what is asked for.

    Raises:
        SnapshotError: the candidate is damaged, or of another version of this library: it could not be served.
    """
    snapshot = loaded_snapshot(workspace, candidate)
    recommender = load_recommender(snapshot, candidate.version)
    log = EventLog(workspace.event_log)
    alone = (_features(workspace, snapshot), _data(policy.data, snapshot.lineage, log, datetime.now(UTC)))
    if champion is None:
        return Verdict((*alone, Finding("quality", True, "There is no champion yet to compare it with.")))
    try:
        present = loaded_snapshot(workspace, champion)
        opponent = load_recommender(present, champion.version)
    except SnapshotError as error:
        unserved = (
            f"The champion, version {champion.version}, can no longer be served: nothing to compare with. {error}"
        )
        return Verdict((*alone, Finding("quality", True, unserved)))
    positions = _position(snapshot), _position(present)
    return Verdict((*alone, *_compared(workspace, recommender, opponent, positions, policy)))


def _compared(
    workspace: Workspace,
    candidate: Recommender,
    champion: Recommender,
    positions: tuple[int, int],
    policy: PromotionPolicy,
) -> Sequence[Finding]:
    found, told = _targets(EventLog(workspace.event_log), candidate.schema, positions, policy.evidence)
    if found is None:
        return [Finding("evidence", False, told)]
    trial = hold_trial(workspace, candidate, champion, found, policy.groups.minimum_users)
    return [
        Finding("evidence", True, told),
        quality(policy.quality, trial, newer=positions[0] > positions[1]),
        groups(policy.groups, trial, next(iter(policy.quality.margins))),
        calibration(policy.calibration, trial),
        latency(policy.latency, trial.milliseconds),
    ]


def _targets(
    log: EventLog, schema: WorkspaceSchema, positions: tuple[int, int], policy: EvidencePolicy
) -> tuple[UnseenTargets | None, str]:
    """The first source with enough users, and what is said of the choice."""
    events = log.read()
    cut_off = max(positions)
    found = later_targets(events, schema, cut_off)
    told = f"{len(found):,} users have an event after both cut-offs (log position {cut_off:,})"
    if len(found) < policy.minimum_users and policy.held_back:
        found = held_back_targets(events, schema, positions)
        told += f", {len(found):,} one that both trainings held back"
    if len(found) < policy.minimum_users:
        more = "Wait for more events, or lower evidence.minimum_users."
        return None, f"{told}; the policy asks for {policy.minimum_users:,}. {more}"
    return found.sample(policy.maximum_users), f"{told}; judged on {found.source}."


def _features(workspace: Workspace, snapshot: Snapshot) -> Finding:
    """Whether the store holds rows of the version of the features that the candidate reads."""
    wanted = features_of(snapshot)
    asked = feature_service_name(WorkspaceSchema.load(workspace.schema_file))
    if not materialisation_file(workspace, wanted).is_file():
        remedy = f"Make them: recsys features materialise --workspace {workspace.name}"
        return Finding("features", False, f"The store holds no rows of {wanted.service}, which it reads. {remedy}")
    beside = "" if wanted.service == asked else f", beside {asked}, which the workspace's schema asks for"
    return Finding("features", True, f"It reads {wanted.service}, of which the store holds rows{beside}.")


def _data(policy: DataPolicy, lineage: Mapping[str, object], log: EventLog, now: datetime) -> Finding:
    """Whether what it learned from is new enough."""
    newest = log.position()
    position = lineage.get("log_position")
    if not isinstance(position, int) or position > newest:
        return Finding("data", False, f"It was trained at log position {position}, the log ends at {newest:,}.")
    unseen = (newest - position) / newest if newest else 0.0
    age = _age_days(lineage.get("trained_at"), now)
    passed = unseen <= policy.maximum_unseen_share and age is not None and age <= policy.maximum_age_days
    said = (
        f"{unseen:.1%} of the log's events came after its training, {policy.maximum_unseen_share:.1%} allowed; trained "
        f"{'at an unknown time' if age is None else f'{age:.1f} days ago'}, {policy.maximum_age_days:g} allowed."
    )
    return Finding("data", passed, said)


def _age_days(trained_at: object, now: datetime) -> float | None:
    try:
        return max((now - datetime.fromisoformat(str(trained_at))).total_seconds() / 86_400, 0.0)
    except (ValueError, TypeError):
        return None


def _position(snapshot: Snapshot) -> int:
    """Where its training's knowledge of the log ends; a snapshot that does not say may have seen everything."""
    position = snapshot.lineage.get("log_position")
    return position if isinstance(position, int) else 2**62
