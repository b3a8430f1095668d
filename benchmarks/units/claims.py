"""Which claims a benchmark makes, and their tests: paired over users, seeds averaged, Holm over the whole family.

A claim whose arms were not measured is listed as such; the family counts the ones that were.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np

from benchmarks.units.arms import WARM, Arm
from benchmarks.units.baselines import EASE, IALS, POPULARITY
from benchmarks.units.unseen import protocol_name
from recsys.evaluation.significance import PairedComparison, compare_paired, holm

Metric = Literal["ndcg@10", "recall@10", "log_loss"]

SHARED = "shared blend"
BLEND_OF_ALL = "control: shared blend of all targets"
FINE_TUNED = "per-user fine-tuned head"
SHARED_MATRIX = "control: shared matrix"
CONCATENATED = "control: context concatenated into the body"
CONTROLS = (SHARED_MATRIX, CONCATENATED)
HEAD_KINDS = ("gains", "film", "lowrank", "full")


def head(kind: str) -> str:
    """The name of the arm of a generated head of that kind."""
    return f"head: {kind}"


def fed_others(name: str) -> str:
    """The name of the arm that is fed other users' contexts."""
    return f"{name}, others' contexts"


def fed_mean(name: str) -> str:
    """The name of the arm that is fed the mean context."""
    return f"{name}, mean context"


@dataclass(frozen=True, slots=True)
class Claim:
    """A is better than B.

    Attributes:
        name: one line for people.
        a: name of an arm.
        b: name of another, or of the same under another protocol.
        metric: NDCG@10 or, of baskets, recall@10 (higher is better), or log-loss (lower is).
        protocol: of A's arms.
        protocol_b: of B's; None for the same.
    """

    name: str
    a: str
    b: str
    metric: Metric
    protocol: str = WARM
    protocol_b: str | None = None


def default_claims(kind: str = "lowrank") -> tuple[Claim, ...]:
    """The issue's own claims of the head kind that ships.

    Args:
        kind: one of `HEAD_KINDS`.
    """
    ours = head(kind)
    claims: list[Claim] = []
    metrics: tuple[Metric, ...] = ("log_loss", "ndcg@10")
    for metric in metrics:
        claims += [
            Claim(f"{ours} beats the best {SHARED} ({metric})", ours, SHARED, metric),
            Claim(f"{ours} is worse when fed other users' contexts ({metric})", ours, fed_others(ours), metric),
            Claim(f"{ours} beats the {FINE_TUNED} ({metric})", ours, FINE_TUNED, metric),
        ]
    after_three = protocol_name(3, warm=False)
    claims += [
        Claim(f"unseen users, 3 events: {ours} beats {other} (ndcg@10)", ours, other, "ndcg@10", after_three)
        for other in (POPULARITY, EASE, IALS, FINE_TUNED)
    ]
    return tuple(claims)


@dataclass(frozen=True, slots=True)
class Tested:
    """A claim and what came of it.

    Attributes:
        claim: the claim.
        comparison: A against B; None where an arm was not measured.
        adjusted_p: Holm's, over all claims that were measured.
        holds: A is better, and its interval and the adjusted p value (below .05) say so.
    """

    claim: Claim
    comparison: PairedComparison | None
    adjusted_p: float | None
    holds: bool | None

    def as_dict(self) -> dict[str, object]:
        """Plain values."""
        compared = None if self.comparison is None else asdict(self.comparison)
        return {**asdict(self.claim), "comparison": compared, "holm_p": self.adjusted_p, "holds": self.holds}


def judge_claims(claims: Sequence[Claim], arms: Iterable[Arm], *, resamples: int = 10_000) -> list[Tested]:
    """Tests every claim whose arms are there.

    Args:
        claims: the family; names are unique.
        arms: all arms of a workspace and split.
        resamples: of each bootstrap.
    """
    groups = by_scorer(arms)
    compared: dict[str, PairedComparison] = {}
    for claim in claims:
        a = groups.get((claim.protocol, claim.a))
        b = groups.get((claim.protocol_b or claim.protocol, claim.b))
        if a and b:
            compared[claim.name] = compare_arms(a, b, claim.metric, resamples=resamples)
    adjusted = holm({name: found.p_value for name, found in compared.items()})
    return [
        Tested(claim, compared.get(claim.name), adjusted.get(claim.name), _holds(claim, compared, adjusted))
        for claim in claims
    ]


def head_comparisons(arms: Iterable[Arm], *, resamples: int = 2_000) -> list[dict[str, object]]:
    """Every kind of head against the blend, other contexts, controls, stored heads and gains: intervals, no claims.

    Args:
        arms: all arms of a workspace and split.
        resamples: of each bootstrap.
    """
    groups = by_scorer(arms)
    found: list[dict[str, object]] = []
    for kind in HEAD_KINDS:
        own = head(kind)
        for other in (SHARED, BLEND_OF_ALL, fed_others(own), fed_mean(own), *CONTROLS, FINE_TUNED, head("gains")):
            a, b = groups.get((WARM, own)), groups.get((WARM, other))
            if a and b and own != other:
                metrics: tuple[Metric, ...] = ("ndcg@10", "log_loss")
                found += [
                    {"a": own, "b": other, "metric": metric} | asdict(compare_arms(a, b, metric, resamples=resamples))
                    for metric in metrics
                ]
    return found


def by_scorer(arms: Iterable[Arm]) -> dict[tuple[str, str], list[Arm]]:
    """Arms by (protocol, name), seeds ascending."""
    groups: dict[tuple[str, str], list[Arm]] = {}
    for arm in sorted(arms, key=lambda one: one.seed):
        groups.setdefault((arm.protocol, arm.name), []).append(arm)
    return groups


def compare_arms(a: Sequence[Arm], b: Sequence[Arm], metric: Metric, *, resamples: int = 10_000) -> PairedComparison:
    """Compares two scorers on the users that they share.

    Where seeds share their users (warm), each user's difference is averaged over the seeds; where each seed has users
    of its own (unseen), every user has one difference.

    Raises:
        ValueError: the seeds or users of the two do not pair up.
    """
    seeds = sorted({arm.seed for arm in a} & {arm.seed for arm in b})
    same_users = all(np.array_equal(arm.users, a[0].users) for arm in (*a, *b))
    if same_users and 1 in (len(a), len(b)):
        # A scorer that no seed changes stands beside every seed of the other.
        pairs = [(x, y) for x in a for y in b]
    elif seeds:
        own_a, own_b = ({arm.seed: arm for arm in arms} for arms in (a, b))
        pairs = [(own_a[seed], own_b[seed]) for seed in seeds]
    else:
        raise ValueError(f"'{a[0].name}' and '{b[0].name}' have no seed in common.")
    for x, y in pairs:
        if not np.array_equal(x.users, y.users):
            raise ValueError(f"'{x.name}' and '{y.name}' (seed {x.seed}) were measured on different users.")
    values = [(x.per_user(metric), y.per_user(metric)) for x, y in pairs]
    if all(np.array_equal(x.users, pairs[0][0].users) for x, _ in pairs):
        return compare_paired(np.stack([x for x, _ in values]), np.stack([y for _, y in values]), resamples=resamples)
    everybody = np.concatenate([x.users for x, _ in pairs])
    if len(np.unique(everybody)) != len(everybody):
        raise ValueError(f"The seeds of '{a[0].name}' share some of their users but not all: they cannot be averaged.")
    return compare_paired(
        np.concatenate([x for x, _ in values])[None],
        np.concatenate([y for _, y in values])[None],
        resamples=resamples,
    )


def _holds(claim: Claim, compared: Mapping[str, PairedComparison], adjusted: Mapping[str, float]) -> bool | None:
    found = compared.get(claim.name)
    if found is None:
        return None
    better = found.high < 0 if claim.metric == "log_loss" else found.low > 0
    return better and adjusted[claim.name] < 0.05
