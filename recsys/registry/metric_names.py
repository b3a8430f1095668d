"""Names of metrics as people write them (`validation.ndcg@10`) and as MLflow takes them (`validation.ndcg_at_10`)."""

from __future__ import annotations

import re
from collections.abc import Mapping

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
    flat: dict[str, float] = {}
    for name, value in metrics.items():
        dotted = name.replace("/", ".")
        if isinstance(value, Mapping):
            flat |= {f"{dotted}.{inner}": number for inner, number in flat_metrics(value).items()}
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            flat[dotted] = float(value)
        else:
            raise RegistryError(f"The metric '{dotted}' is a {type(value).__name__}, not a number: log numbers only.")
    return flat


def tracked_name(name: str) -> str:
    """The name MLflow knows a metric or parameter by: it takes letters, digits and `_ - . : /` only."""
    return re.sub(r"[^\w./: -]", "_", name.replace("@", "_at_"))
