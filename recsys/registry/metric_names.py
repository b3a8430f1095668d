"""Names of metrics as people write them (`validation.ndcg@10`) and as MLflow takes them (`validation.ndcg_at_10`)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from recsys.errors import RegistryError


def flat_metrics(metrics: Mapping[str, object]) -> dict[str, float]:
    """Nested metrics as one level of numbers.

    Args:
        metrics: numbers, or mappings of them nested at will, by name: `{"validation": {"ndcg@10": 0.3}}`.

    Returns:
        Numbers by dotted name: `{"validation.ndcg@10": 0.3}`.

    Raises:
        RegistryError: something in it is not a number.
    """
    return dict(_leaves(metrics, ""))


def _leaves(metrics: Mapping[str, object], prefix: str) -> Iterator[tuple[str, float]]:
    for name, value in metrics.items():
        dotted = prefix + name.replace("/", ".")
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{dotted}.")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield dotted, float(value)
        else:
            raise RegistryError(f"The metric '{dotted}' is a {type(value).__name__}, not a number: log numbers only.")


def tracked_name(name: str) -> str:
    """The name MLflow knows a metric or parameter by: it takes letters, digits and `_ - . : /` only."""
    return re.sub(r"[^\w./: -]", "_", name.replace("@", "_at_"))
