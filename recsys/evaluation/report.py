"""One evaluation as JSON, as Markdown and as plots. It holds figures only; how they read is `markdown` and `plots`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from recsys.evaluation.full_ranking import EXPERT_PREFIX, MODEL, SHARED_BLEND
from recsys.evaluation.head_controls import CONTROL_PREFIX
from recsys.evaluation.workspace_protocol import LEAVE_ONE_OUT, NEXT_BASKET

SHOWN: Mapping[str, tuple[str, ...]] = {
    LEAVE_ONE_OUT: ("ndcg@10", "hr@10", "ndcg@20", "hr@20", "mrr"),
    NEXT_BASKET: ("recall@10", "ndcg@10", "recall@20", "ndcg@20", "hr@10"),
}
"""The few figures that a terminal shows, by protocol."""


def report_files(folder: Path, split: str, version: str) -> tuple[Path, Path]:
    """Where the report of a version on a split lies: JSON and Markdown."""
    stem = f"{split}-v{version}"
    return folder / f"{stem}.json", folder / f"{stem}.md"


def plot_folder(folder: Path, split: str, version: str) -> Path:
    """Where the plots of a version on a split lie, beside its report."""
    return folder / f"{split}-v{version}"


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """What an evaluation found.

    Attributes:
        workspace: its name.
        model_version: the version under test.
        content_hash: SHA-256 of its model files.
        split: validation or test.
        users: how many were evaluated.
        items: size of the ranked catalogue.
        metrics: metric values by scorer; `model` is the version under test.
        tuned: what was chosen for the baselines, on validation.
        test_looks_before: looks at this workspace's test split before this one.
        seconds: how long it took.
        lineage: where the model came from.
        repeats: whether seen items stay in the ranking.
        protocol: what the targets are, `leave-one-out` or `next basket`.
        sections: comparisons, groups, calibration and personalisation, as `evaluate_in_full` gives them.
    """

    workspace: str
    model_version: str
    content_hash: str
    split: str
    users: int
    items: int
    metrics: Mapping[str, Mapping[str, float]]
    tuned: Mapping[str, object]
    test_looks_before: int
    seconds: float
    lineage: Mapping[str, object]
    repeats: bool = False
    protocol: str = LEAVE_ONE_OUT
    sections: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, object]:
        """Plain values; `metrics.<split>` holds the model's own, `comparison` everyone's."""
        plain: dict[str, object] = {own.name: getattr(self, own.name) for own in fields(self)}
        return plain | {
            "metrics": {self.split: dict(self.metrics[MODEL])},
            "comparison": {name: dict(values) for name, values in self.metrics.items()},
            "tuned_on_validation": plain.pop("tuned"),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> EvaluationReport:
        """The inverse of `as_dict`; a missing key is a KeyError."""
        renamed = {"metrics": stored["comparison"], "tuned": stored["tuned_on_validation"]}
        plain = {own.name: stored[own.name] for own in fields(cls) if own.name not in renamed}
        return cls(**plain, **renamed)

    def scorers(self) -> list[str]:
        """Who is compared: baselines, experts alone, the shared blend, the model last.

        An expert that is the same as a baseline (popularity) is named once. Controls of the heads are left out: they
        are no scorers that anybody would use.
        """
        apart = (MODEL, SHARED_BLEND)
        order = [n for n in self.metrics if n not in apart and not n.startswith((EXPERT_PREFIX, CONTROL_PREFIX))]
        baselines = [self.metrics[name] for name in order]
        order += [n for n in self.metrics if n.startswith(EXPERT_PREFIX) and self.metrics[n] not in baselines]
        return [*order, SHARED_BLEND, MODEL]

    @property
    def shown(self) -> tuple[str, ...]:
        """The metrics to show where there is little room."""
        return SHOWN[self.protocol]

    def rows(self, shown: Sequence[str] | None = None) -> list[tuple[str, list[float]]]:
        """Scorers, in the order of `scorers`, with these metrics; None is `shown`."""
        metrics = self.shown if shown is None else shown
        return [(name, [self.metrics[name][metric] for metric in metrics]) for name in self.scorers()]

    def save(self, folder: Path) -> tuple[Path, Path]:
        """Writes `<split>-v<version>.json` and `.md` and the plots beside them; returns the first two.

        A figure that is not finite is a ValueError: strict JSON has no word for it.
        """
        from recsys.evaluation.markdown import markdown
        from recsys.evaluation.plots import draw_plots

        folder.mkdir(parents=True, exist_ok=True)
        as_json, as_markdown = report_files(folder, self.split, self.model_version)
        as_json.write_text(json.dumps(self.as_dict(), indent=2, sort_keys=True, allow_nan=False) + "\n")
        plots = draw_plots(self, plot_folder(folder, self.split, self.model_version))
        as_markdown.write_text(markdown(self, {path.stem: f"{path.parent.name}/{path.name}" for path in plots}))
        return as_json, as_markdown
