"""The job that says how far a challenger in the shadow agreed with the champion, and what it took."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import polars as pl

from recsys.columns import CHALLENGER_VERSION, CHAMPION_VERSION
from recsys.errors import ConfigError
from recsys.events.shadow_scores import ShadowLog
from recsys.workspace import Workspace


@dataclass(frozen=True, slots=True)
class ShadowSummary:
    """What the shadow says. It tells nothing of which list people like better: that takes a split.

    Attributes:
        workspace: name of the workspace.
        champion_version: who answered.
        challenger_version: who scored beside the replies.
        requests: how many both scored, or tried to.
        failures: how many the challenger could not score.
        overlap: mean share of the items that both lists hold; None where nothing was scored.
        same_first: share of the requests for which both put the same item first.
        correlation: mean Kendall's tau over the items in both lists.
        champion_p50_ms: median time of the champion's scoring.
        champion_p95_ms: of 95 of 100 requests at most.
        challenger_p50_ms: the challenger's; measured beside the replies, so it waits for them.
        challenger_p95_ms: of 95 of 100 requests at most.
    """

    workspace: str
    champion_version: str
    challenger_version: str
    requests: int
    failures: int
    overlap: float | None
    same_first: float | None
    correlation: float | None
    champion_p50_ms: float | None
    champion_p95_ms: float | None
    challenger_p50_ms: float | None
    challenger_p95_ms: float | None

    def as_dict(self) -> dict[str, object]:
        """Plain values, for --json."""
        return asdict(self)


def compare_shadow(
    workspace: Workspace, *, champion: str | None = None, challenger: str | None = None
) -> ShadowSummary:
    """Summarises the shadow scores of two versions.

    Args:
        workspace: an existing workspace.
        champion: its version; None: of the newest score.
        challenger: its version; None: of the newest score.

    Raises:
        ConfigError: nothing was scored in the shadow.
    """
    scores = ShadowLog(workspace.impressions).read()
    for column, version in ((CHAMPION_VERSION, champion), (CHALLENGER_VERSION, challenger)):
        scores = scores if version is None else scores.filter(pl.col(column) == version)
    if scores.is_empty():
        raise ConfigError(
            f"No challenger of '{workspace.name}' scored in the shadow. Name one and let it: recsys models challenge "
            f"--version N --workspace {workspace.name}, recsys serve --shadow 0.1 --workspace {workspace.name}"
        )
    pair = scores.row(-1, named=True)
    same_pair = [pl.col(column) == pair[column] for column in (CHAMPION_VERSION, CHALLENGER_VERSION)]
    figures = scores.filter(*same_pair).select(
        pl.len().alias("requests"),
        pl.col("challenger_ms").null_count().alias("failures"),
        pl.col("overlap", "same_first", "correlation").mean(),
        *(
            pl.col(f"{who}_ms").quantile(share, "nearest").alias(f"{who}_p{share * 100:.0f}_ms")
            for who in ("champion", "challenger")
            for share in (0.5, 0.95)
        ),
    )
    return ShadowSummary(workspace.name, pair[CHAMPION_VERSION], pair[CHALLENGER_VERSION], **figures.row(0, named=True))
