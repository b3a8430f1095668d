"""The kinds of heads there are, for whoever names them without loading a model."""

from __future__ import annotations

from typing import Literal

HeadKind = Literal["gains", "film", "lowrank", "full"]
