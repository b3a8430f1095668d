"""Who is measured in body training, with which settings: one shape for all, and the bars that the rates are held to."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.units.peers import PEERS, VENV
from recsys.training.config import load_config

OURS, RECTOOLS, RECBOLE = "ours", "RecTools", "RecBole"
FULL, SAMPLED = "full softmax", "sampled softmax"
WARM_UP_STEPS = 3
RECBOLE_WARM_UP_STEPS = 2
"""Its steps take seconds each."""
NEGATIVES = 512
"""Ours: of a step, shared by its positions. RecTools': of each position."""
_SPEED = Path(__file__).resolve().parent
_PROGRAMS = {
    OURS: (Path(sys.executable), _SPEED / "ours.py"),
    RECTOOLS: (VENV / "bin" / "python", PEERS / "sasrec_speed.py"),
    RECBOLE: (VENV / "bin" / "python", PEERS / "recbole_speed.py"),
}


@dataclass(frozen=True, slots=True)
class Contestant:
    """A program with its settings.

    Attributes:
        team: whose training it is.
        loss: those of one loss are compared.
        variant: what tells it from others of its team and loss.
        settings: its own, beside those of all.
        part: of the seconds that others are timed.
    """

    team: str
    loss: str
    variant: str
    settings: Mapping[str, Any]
    part: float = 1.0

    @property
    def name(self) -> str:
        """What the results call it."""
        return f"{self.team}, {self.loss}, {self.variant}"

    def command(self, folder: Path) -> list[str]:
        """What runs it on a folder."""
        return [*map(str, _PROGRAMS[self.team]), str(folder)]


@dataclass(frozen=True, slots=True)
class Bar:
    """How many times as fast as the best variant of a peer the product has to be.

    Attributes:
        peer: team.
        loss: of both.
        times: at least; None: the ratio is reported and held to nothing.
    """

    peer: str
    loss: str
    times: float | None


BARS = (Bar(RECTOOLS, FULL, 1.5), Bar(RECBOLE, FULL, 20.0), Bar(RECTOOLS, SAMPLED, None))
"""Sampled losses are not equal: ours shares a step's negatives among its positions."""


def contestants(n_items: int) -> tuple[Contestant, ...]:
    """Everybody, in the order of a round; the first of ours for each loss is what the product does by itself.

    Args:
        n_items: in the vocabulary.
    """
    return (
        _ours(FULL, n_items, "auto"),
        _ours(FULL, n_items, "float32"),
        _rectools(FULL, 32, "32-true"),
        _rectools(FULL, 128, "32-true"),
        _rectools(FULL, 128, "bf16-mixed"),
        _recbole(64),
        _recbole(64, amp=True),
        _recbole(64, attention_dropout=0.0),
        _recbole(256),
        _ours(SAMPLED, NEGATIVES, "auto"),
        _ours(SAMPLED, NEGATIVES, "float32"),
        _rectools(SAMPLED, 16, "32-true"),
        _rectools(SAMPLED, 16, "bf16-mixed"),
        _rectools(SAMPLED, 32, "32-true"),
    )


def shape() -> dict[str, Any]:
    """Width, layers, heads, length and dropout of everybody: those of the default configuration."""
    body = load_config().body
    return {name: getattr(body, name) for name in ("width", "layers", "heads", "length", "dropout")}


def _ours(loss: str, negatives: int, precision: str) -> Contestant:
    config = load_config()
    # Each is timed for some seconds only, whatever the schedule; nothing is written to the disk meanwhile.
    training = config.body_training.model_copy(update={"epochs": 1_000, "negatives": negatives, "precision": precision})
    variant = f"{training.batch_events:,} events a step, {precision}"
    settings = {"seed": config.seed, "body": config.body.model_dump(), "body_training": training.model_dump()}
    return Contestant(OURS, loss, variant, settings)


def _rectools(loss: str, batch: int, precision: str) -> Contestant:
    own = shape()
    model: dict[str, Any] = {
        "n_factors": own["width"],
        "n_blocks": own["layers"],
        "n_heads": own["heads"],
        "session_max_len": own["length"],
        "dropout_rate": own["dropout"],
        "batch_size": batch,
        "loss": "softmax" if loss == FULL else "sampled_softmax",
    }
    if loss == SAMPLED:
        model["n_negatives"] = NEGATIVES
    settings = {"seed": 0, "warm_up": WARM_UP_STEPS, "precision": precision, "model": model}
    return Contestant(RECTOOLS, loss, f"batches of {batch} sequences, {precision}", settings)


def _recbole(batch: int, *, amp: bool = False, attention_dropout: float | None = None) -> Contestant:
    own = shape()
    dropped = own["dropout"] if attention_dropout is None else attention_dropout
    model = {
        "hidden_size": own["width"],
        "inner_size": own["width"],  # as wide as RecTools'
        "n_layers": own["layers"],
        "n_heads": own["heads"],
        "MAX_ITEM_LIST_LENGTH": own["length"],
        "hidden_dropout_prob": own["dropout"],
        "attn_dropout_prob": dropped,
        "loss_type": "CE",
        "train_batch_size": batch,
        "enable_amp": amp,
    }
    variant = f"batches of {batch} sequences, {'mixed' if amp else '32-true'}, attention dropout {dropped:g}"
    settings = {"seed": 0, "warm_up": RECBOLE_WARM_UP_STEPS, "model": model}
    return Contestant(RECBOLE, FULL, variant, settings, part=0.5)
