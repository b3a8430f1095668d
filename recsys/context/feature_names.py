"""Names of features for columns that people named freely."""

from __future__ import annotations

import re
from collections.abc import Iterable


def plain_names(prefix: str, names: Iterable[str]) -> dict[str, str]:
    """A feature name for every column.

    Feature names hold letters, digits and underscores only, are told apart without regard to case (DuckDB), and
    never meet the fixed features: with the prefix `profile`, `Zip code` becomes `profile_zip_code`.
    """
    fields: dict[str, str] = {}
    for position, column in enumerate(names):
        field = f"{prefix}_" + re.sub(r"[^a-z0-9]+", "_", column.lower()).strip("_")
        while field in fields.values():
            field = f"{field}_{position}"
        fields[column] = field
    return fields
