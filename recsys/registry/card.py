"""The model card that travels in a snapshot."""

from __future__ import annotations

from collections.abc import Mapping

from recsys.training.config import TrainConfig
from recsys.training.dataset import Dataset

BEGUN_FROM = "begun_from_version"
"""In a model's lineage: the version that its body began from, or whose body it kept."""
BODY_POSITION = "body_log_position"
"""In the lineage of a model that kept a body: the log position up to which that body was fitted."""


def body_position(lineage: Mapping[str, object]) -> int:
    """The log position up to which a model's body was fitted."""
    return int(str(lineage.get(BODY_POSITION, lineage["log_position"])))


def model_card(
    dataset: Dataset,
    config: TrainConfig,
    counts: Mapping[str, int],
    metrics: Mapping[str, Mapping[str, float]],
    lineage: Mapping[str, object],
    protocol: str = "leave-one-out",
) -> str:
    """A page of Markdown: what the model is, what it was trained on, how good it is on validation, its limits."""
    figures = "\n".join(
        f"| {name} | {own['ndcg@10']:.4f} | {own['hr@10']:.4f} |" for name, own in metrics.items() if "ndcg@10" in own
    )
    origin = "\n".join(f"- {name}: {value}" for name, value in lineage.items())
    if "generator_targets" in counts:
        taught = (
            f"the\ngenerator on {counts['generator_targets']:,} next items that no expert had seen, of "
            f"{counts['generator_users']:,} users"
        )
    else:
        taught = f"body and\ngenerator are those of version {lineage[BEGUN_FROM]}"
    return f"""# Recommender of the workspace {dataset.schema.name}

Shared experts (sequence body, closed-form memories, popularity), steered for each user by `{config.head.kind}` head
weights that a hypernetwork generates from the user's context.

Trained on {counts["events"]:,} events of {counts["users"]:,} users over {len(dataset.vocabulary):,} items; {taught}.

## Validation ({protocol}, full ranking)

| scorer | NDCG@10 | HR@10 |
| --- | ---: | ---: |
{figures}

## Origin

{origin}

## Limits

Items without a positive event cannot be recommended. Probabilities are calibrated for the top ten, on the
validation targets of every fourth user, not for every item. Test figures come from `recsys evaluate`.
"""
