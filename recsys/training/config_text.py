"""A configuration as the TOML that `load_config` reads."""

from __future__ import annotations

from collections.abc import Sequence

import tomlkit

from recsys.training.config import TrainConfig


def config_text(config: TrainConfig, notes: Sequence[str] = ()) -> str:
    """Every setting, with comments above them; what is None is left out, as TOML has no such value.

    Args:
        config: what `load_config` gives back.
        notes: one line each.
    """
    document = tomlkit.document()
    for note in notes:
        document.add(tomlkit.comment(note))
    document.update(config.model_dump(mode="json", exclude_none=True))
    return tomlkit.dumps(document)
