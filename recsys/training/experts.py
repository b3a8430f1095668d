"""Stage one: every expert fitted on given sequences. Closed-form ones are cheap to fit again; the body is not."""

from __future__ import annotations

from collections.abc import Callable

from recsys.context.sequences import Sequences
from recsys.experts.long_term import fit_long_term_memory
from recsys.experts.memory import fit_sequence_memory
from recsys.experts.popularity import fit_popularity
from recsys.experts.protocol import Expert
from recsys.model.personal import LONG_TERM, MEMORY, POPULARITY
from recsys.training.config import TrainConfig
from recsys.training.distributed import BodyRun, fit_body_distributed
from recsys.training.progress import Progress
from recsys.training.windows import body_windows


def fit_closed_form(
    sequences: Sequences, n_items: int, config: TrainConfig, progress: Progress, note: str
) -> dict[str, Expert]:
    """Fits the memories and popularity, in the order that the scoring network has them in."""
    stage = progress.stage(f"closed-form experts ({note})", 3)
    fits: dict[str, Callable[[], Expert]] = {
        MEMORY: lambda: fit_sequence_memory(sequences, n_items, config.memory),
        LONG_TERM: lambda: fit_long_term_memory(sequences, n_items, config.long_term),
        POPULARITY: lambda: fit_popularity(sequences, n_items, config.popularity),
    }
    fitted: dict[str, Expert] = {}
    for name, fit in fits.items():
        fitted[name] = fit()
        stage.advance(name)
    return fitted


def fit_body_expert(sequences: Sequences, n_items: int, config: TrainConfig, progress: Progress) -> BodyRun:
    """Fits the neural body through Ray Train."""
    stage = progress.stage(f"body on Ray Train ({config.workers} workers)", config.body_training.epochs)
    return fit_body_distributed(
        body_windows(sequences, config.body.length),
        n_items=n_items,
        body=config.body,
        config=config.body_training,
        workers=config.workers,
        seed=config.seed,
        on_epoch=lambda _, loss: stage.advance(f"loss {loss:.3f}"),
    )
