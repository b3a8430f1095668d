"""Trains ours until its NDCG@10 reaches a target, one way of three, and says in how many seconds.

    python benchmarks/speed/reaching.py FOLDER

FOLDER holds `settings.json`: `way`, `home` and `workspace`, `target`, `cap_seconds`, `threads`, `budget`. It gets
`reached.json`, as `benchmarks/peers/sasrec_reaching.py` writes it. The clock starts with the data in memory and stands
still while validation cases are ranked.

* memory: the first memory of the default configuration, one solve;
* body: the default configuration's body alone, judged after each epoch;
* model: what `recsys train --budget` makes, planning included.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import torch  # noqa: E402

from benchmarks.speed.data import SETTINGS  # noqa: E402
from benchmarks.units.files import write_json  # noqa: E402
from recsys.allocator import keep_large_blocks  # noqa: E402
from recsys.evaluation.cases import Catalogue, Scorer, leave_one_out_cases, score_cases  # noqa: E402
from recsys.evaluation.workspace_protocol import training_sequences_of  # noqa: E402
from recsys.experts.body import BodyExpert  # noqa: E402
from recsys.metrics.ranking import ndcg  # noqa: E402
from recsys.training.alone import fit_body_alone  # noqa: E402
from recsys.training.config import load_config  # noqa: E402
from recsys.training.dataset import Dataset  # noqa: E402
from recsys.training.experts import closed_form_fits  # noqa: E402
from recsys.training.fit import fit_model  # noqa: E402
from recsys.training.progress import Silent  # noqa: E402
from recsys.training.time_plan import plan_within  # noqa: E402
from recsys.workspace import Workspace  # noqa: E402

CUTOFF = 10


class OverError(Exception):
    """The target was reached, or the seconds are over."""


class Course:
    """Seconds of training and what came of them; the clock runs from its making on.

    Args:
        target: NDCG@10 to reach.
        cap: seconds after which it is over.
        judge: a scorer's NDCG@10.
        tell: told the course after each judgement.
    """

    def __init__(
        self, target: float, cap: float, judge: Callable[[Scorer], float], tell: Callable[[Mapping[str, Any]], None]
    ) -> None:
        self._target, self._cap, self._judge, self._tell = target, cap, judge, tell
        self._seconds, self._began = 0.0, time.monotonic()
        self.curve: list[dict[str, float]] = []
        self.reached: float | None = None

    def judged(self, scorer: Scorer) -> None:
        """Stops the clock, ranks, and starts it again.

        Raises:
            OverError: nothing more is needed.
        """
        self._seconds += time.monotonic() - self._began
        found = self._judge(scorer)
        self.curve.append({"seconds": round(self._seconds, 2), "ndcg@10": found})
        print(f"  {self._seconds:.1f} s, NDCG@10 {found:.4f}", file=sys.stderr, flush=True)
        if found >= self._target:
            self.reached = round(self._seconds, 2)
        self._tell({"reached_seconds": self.reached, "curve": self.curve})
        if self.reached is not None or self._seconds >= self._cap:
            raise OverError
        self._began = time.monotonic()


def main(folder: Path) -> None:
    """Trains until it is over, or the way has come to its end."""
    settings = json.loads((folder / SETTINGS).read_text())
    torch.set_num_threads(settings["threads"])
    keep_large_blocks()
    dataset = Dataset.load(Workspace(settings["workspace"], Path(settings["home"])))
    profile = dataset.encoded_profiles(dataset.profile_encoding()).astype(np.float32)
    cases = leave_one_out_cases(dataset.sequences, "validation")
    catalogue = Catalogue(len(dataset.vocabulary), dataset.schema.repeats)

    def judge(scorer: Scorer) -> float:
        ranks = score_cases(scorer, dataset.sequences, cases, catalogue, profile=profile).ranks
        return float(ndcg(ranks, CUTOFF).mean())

    way = {"memory": _memory, "body": _body, "model": _model}[settings["way"]]
    train = training_sequences_of(dataset)
    course = Course(
        settings["target"], settings["cap_seconds"], judge, lambda told: write_json(folder / "reached.json", told)
    )
    with suppress(OverError):
        way(dataset, train, profile, settings, course)


def _memory(dataset: Dataset, train: Any, profile: np.ndarray, settings: Mapping[str, Any], course: Course) -> None:
    config, schema = load_config(), dataset.schema
    fits = closed_form_fits(train, dataset.attributes, config, clock=schema.clock, repeats=schema.repeats)
    course.judged(fits[next(iter(config.memories))]().score)


def _body(dataset: Dataset, train: Any, profile: np.ndarray, settings: Mapping[str, Any], course: Course) -> None:
    config = load_config()

    def show(epoch: int, body: BodyExpert) -> None:
        course.judged(body.score)

    fit_body_alone(train, dataset.attributes, config, clock=dataset.schema.clock, on_body=show)


def _model(dataset: Dataset, train: Any, profile: np.ndarray, settings: Mapping[str, Any], course: Course) -> None:
    config, attributes = load_config(), dataset.attributes
    kinds: dict[str, Any] = {"clock": dataset.schema.clock, "repeats": dataset.schema.repeats}
    plan = plan_within(train, attributes, config, **kinds, seconds=settings["budget"])
    fitted = fit_model(train, profile, attributes, plan.applied(config), **kinds, progress=Silent())
    course.judged(lambda context: fitted.model.forward(context).scores)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
