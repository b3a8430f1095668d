"""Trains our body on a file of sequences and says how fast: what the peers' programs do, by the product's own loop.

    python benchmarks/speed/ours.py FOLDER

FOLDER holds `settings.json` and `fit.parquet`, as for `benchmarks/peers/sasrec_speed.py`, and gets `speed.json`. The
first epoch warms up; whole epochs are timed.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import polars as pl  # noqa: E402
import torch  # noqa: E402

from benchmarks.speed.data import FIT, SETTINGS, sequences_of, targets_of  # noqa: E402
from benchmarks.units.files import write_json  # noqa: E402
from recsys.allocator import keep_large_blocks  # noqa: E402
from recsys.training.alone import fit_body_alone  # noqa: E402
from recsys.training.attributes import ItemAttributes  # noqa: E402
from recsys.training.config import TrainConfig  # noqa: E402


class EnoughError(Exception):
    """It was timed for long enough."""


class Laps:
    """The moments at which epochs ended.

    Args:
        seconds: from the first one on, after which it is enough.
    """

    def __init__(self, seconds: float) -> None:
        self.ends: list[float] = []
        self._seconds = seconds

    def end(self) -> None:
        """An epoch ended.

        Raises:
            EnoughError: the last one that was needed.
        """
        self.ends.append(time.monotonic())
        if len(self.ends) > 1 and self.taken >= self._seconds:
            raise EnoughError

    @property
    def taken(self) -> float:
        """Seconds from the first end to the last."""
        return self.ends[-1] - self.ends[0]


def main(folder: Path) -> None:
    """Trains until it was timed for long enough."""
    settings = json.loads((folder / SETTINGS).read_text())
    torch.set_num_threads(settings["threads"])
    keep_large_blocks()
    sequences = sequences_of(pl.read_parquet(folder / FIT))
    config = TrainConfig.model_validate(
        {"seed": settings["seed"], "body": settings["body"], "body_training": settings["body_training"]}
    )
    laps = Laps(settings["seconds"])
    nothing = ItemAttributes.none(settings["n_items"])
    with suppress(EnoughError):
        fit_body_alone(sequences, nothing, config, clock=False, on_body=lambda *_: laps.end())
    epochs = len(laps.ends) - 1
    write_json(
        folder / "speed.json",
        {
            "targets": epochs * targets_of(sequences),
            "seconds": laps.taken,
            "epochs": epochs,
            "items": settings["n_items"],
            "versions": {"torch": torch.__version__},
        },
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
