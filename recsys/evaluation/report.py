"""One evaluation as JSON and Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from recsys.evaluation.full_ranking import EXPERT_PREFIX, MODEL, SHARED_BLEND

SHOWN = ("ndcg@10", "hr@10", "ndcg@20", "hr@20", "mrr")


def report_files(folder: Path, split: str, version: str) -> tuple[Path, Path]:
    """Where the report of a version on a split lies: JSON and Markdown."""
    stem = f"{split}-v{version}"
    return folder / f"{stem}.json", folder / f"{stem}.md"


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

    def as_dict(self) -> dict[str, object]:
        """Plain values; `metrics.<split>` holds the model's own, `comparison` everyone's."""
        return {
            "workspace": self.workspace,
            "model_version": self.model_version,
            "content_hash": self.content_hash,
            "split": self.split,
            "users": self.users,
            "items": self.items,
            "metrics": {self.split: dict(self.metrics[MODEL])},
            "comparison": {name: dict(values) for name, values in self.metrics.items()},
            "tuned_on_validation": dict(self.tuned),
            "test_looks_before": self.test_looks_before,
            "seconds": self.seconds,
            "lineage": dict(self.lineage),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> EvaluationReport:
        """The inverse of `as_dict`; a missing key is a KeyError."""
        renamed = {"metrics": stored["comparison"], "tuned": stored["tuned_on_validation"]}
        plain = {field.name: stored[field.name] for field in fields(cls) if field.name not in renamed}
        return cls(**plain, **renamed)

    def rows(self) -> list[tuple[str, list[float]]]:
        """Scorers with their shown metrics: baselines, experts alone, the shared blend, the model last.

        An expert that is the same as a baseline (popularity) is shown once.
        """
        order = [n for n in self.metrics if n not in (MODEL, SHARED_BLEND) and not n.startswith(EXPERT_PREFIX)]
        baselines = [self.metrics[name] for name in order]
        order += [n for n in self.metrics if n.startswith(EXPERT_PREFIX) and self.metrics[n] not in baselines]
        order += [SHARED_BLEND, MODEL]
        return [(name, [self.metrics[name][metric] for metric in SHOWN]) for name in order]

    def markdown(self) -> str:
        """A page with one table."""
        lines = [
            f"# {self.workspace}: version {self.model_version} on the {self.split} split",
            "",
            f"Leave-one-out, full ranking of {self.items:,} items for {self.users:,} users, seen items masked where "
            "items do not repeat, ties lose.",
            f"Looks at this test split before this report: {self.test_looks_before}.",
            "",
            "| scorer | " + " | ".join(SHOWN) + " |",
            "| --- |" + " ---: |" * len(SHOWN),
        ]
        lines += [
            f"| {name} | " + " | ".join(f"{value:.4f}" for value in values) + " |" for name, values in self.rows()
        ]
        return "\n".join(lines) + "\n"

    def save(self, folder: Path) -> tuple[Path, Path]:
        """Writes `<split>-v<version>.json` and `.md`; returns both paths."""
        folder.mkdir(parents=True, exist_ok=True)
        as_json, as_markdown = report_files(folder, self.split, self.model_version)
        as_json.write_text(json.dumps(self.as_dict(), indent=2, sort_keys=True) + "\n")
        as_markdown.write_text(self.markdown())
        return as_json, as_markdown
