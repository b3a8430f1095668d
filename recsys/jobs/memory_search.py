"""The job that chooses a sequence memory's setting for a workspace, on validation, within a number of seconds."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from recsys.errors import ConfigError
from recsys.evaluation.expert_alone import array_targets, figures_of
from recsys.evaluation.workspace_protocol import training_sequences_of
from recsys.experts.memory import MemoryConfig, SequenceMemory
from recsys.training.config import TrainConfig
from recsys.training.dataset import Dataset
from recsys.training.machine_memory import available_memory
from recsys.training.memory_estimate import refuse_expert_that_does_not_fit
from recsys.training.memory_search import Trial, search_memory
from recsys.training.progress import Progress, Silent
from recsys.training.shared_grams import KEPT_BYTES, SharedGrams
from recsys.workspace import Workspace

JUDGED_USERS = 2_000
JUDGED_BY = "ndcg@10"
_SHARE_FOR_BLOCKS = 0.25


@dataclass(frozen=True, slots=True)
class MemoryChoice:
    """What a search chose.

    Attributes:
        workspace: its name.
        name: the memory's name in the configuration.
        users: how many validation users judged.
        best: the setting that was best.
        trials: all that were tried, in order.
        metrics: the best setting's figures on these users.
        finished: whether no neighbour was left to try.
        seconds: how long it took, loading included.
    """

    workspace: str
    name: str
    users: int
    best: MemoryConfig
    trials: tuple[Trial, ...]
    metrics: Mapping[str, float]
    finished: bool
    seconds: float

    @property
    def toml(self) -> str:
        """The best setting as a section of a configuration file."""
        lines = [f"[memories.{self.name}]"]
        for name, value in self.best.model_dump().items():
            if value is not None:
                lines.append(f"{name} = {list(value) if isinstance(value, tuple) else value}")
        return "\n".join(lines) + "\n"

    def as_dict(self) -> dict[str, object]:
        """Plain values, for --json."""
        trials = [
            {
                "changed": trial.changed,
                JUDGED_BY: trial.value if trial.solved else None,
                "seconds": round(trial.seconds, 3),
                "better": trial.better,
                "setting": trial.config.model_dump(mode="json"),
            }
            for trial in self.trials
        ]
        return {
            "workspace": self.workspace,
            "name": self.name,
            "users": self.users,
            "best": self.best.model_dump(mode="json"),
            "trials": trials,
            "metrics": dict(self.metrics),
            "finished": self.finished,
            "seconds": self.seconds,
            "toml": self.toml,
        }


def search_memory_setting(
    workspace: Workspace, name: str, config: TrainConfig, budget: float, *, progress: Progress | None = None
) -> MemoryChoice:
    """Starts from the configured setting and looks for a better one. Fits on training events, judges on validation.

    Args:
        workspace: an existing workspace with events.
        name: which of the configuration's memories.
        config: everything that decides.
        budget: seconds for all, loading included; the configured setting itself is always tried.
        progress: told each trial.

    Raises:
        ConfigError: the configuration has no memory of that name, or it does not fit into memory.
        DataError: too few events.
        TrainingError: the configured ridges are too small to solve with, or a score is not finite.
    """
    started = time.monotonic()
    if name not in config.memories:
        known = ", ".join(config.memories) or "none"
        raise ConfigError(f"Only sequence memories are searched for; the configuration has {known}, not '{name}'.")
    dataset = Dataset.load(workspace)
    refuse_expert_that_does_not_fit(config, name, dataset.sizes)
    targets = array_targets(dataset, at_most=JUDGED_USERS)
    grams = SharedGrams(
        training_sequences_of(dataset),
        len(dataset.vocabulary),
        dataset.attributes.matrix(),
        kept_bytes=min(KEPT_BYTES, int(_SHARE_FOR_BLOCKS * available_memory())),
    )

    def judge(memory: SequenceMemory) -> dict[str, float]:
        return figures_of(memory.score, targets, history_length=config.history_length)

    stage = (progress or Silent()).stage(f"settings of {name}", 1)
    found = search_memory(
        grams,
        config.memories[name],
        lambda memory: judge(memory)[JUDGED_BY],
        seconds=budget - (time.monotonic() - started),
        longest_window=config.history_length,
        on_trial=lambda trial: stage.advance(f"{trial.changed}: {trial.value:.4f}"),
    )
    return MemoryChoice(
        workspace=workspace.name,
        name=name,
        users=len(targets),
        best=found.best,
        trials=found.trials,
        metrics=judge(found.memory),
        finished=found.finished,
        seconds=round(time.monotonic() - started, 2),
    )
