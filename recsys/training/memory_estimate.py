"""How much memory a training run will take at its largest moment, reckoned before anything is fitted.

How the estimate is made: a run passes through the moments below, each a sum of arrays whose sizes follow from the
configuration and the catalogue. n items, a attributes, c stacked columns (histories x n, and a), four bytes a number.

- The body: every worker is a process with libraries, tables and one step's activations.
- The targets of the heads: their expert scores (two bytes a score) and masks, beside
  the experts fitted without them.
- Each closed-form solve, on everyone: the experts of both fits, the targets, and the system. A sequence memory's is
  4c² bytes twice (XᵀDX and its factor) and 4cn twice (XᵀY and the solution); or, where that is more, 4c² twice and
  what it is counted from, some users at a time: the sparse product and, four times, the decayed histories (prefixes x
  windows), eight bytes an entry. EASE's is 4n² four times.
- The habits, where items repeat: one record for each item that came before each target, with what is made of it.
- The snapshot: the experts, and their tensors twice while they are written.

To each comes what the driver's libraries and the events take. It is an upper bound of the arrays, not of the
allocator's waste.
"""

from __future__ import annotations

from dataclasses import dataclass

from recsys.errors import ConfigError
from recsys.model.scoring import BODY
from recsys.training.config import TrainConfig
from recsys.training.machine_memory import available_memory
from recsys.training.system_sizes import DataSizes, Part, expert_sizes

GIGA = 1_000_000_000
DRIVER_BYTES = 500_000_000
"""Feast, MLflow and Ray's client, which are imported while training."""
WORKER_BYTES = 700_000_000
"""A Ray Train worker before it holds any data: interpreter, torch, torchrec."""
EVENT_BYTES = 150
"""An event in the log's frame and in the flat arrays."""
_ACTIVATIONS = 12
"""Arrays of a step's size that a block keeps for its gradient."""
_RECORD_BYTES = 112
"""Of a habit's record beside its numbers: two indices, whether it came true, the loss's terms and gradients."""
_RECORD_COPIES = 3
"""Of its numbers: by block, together, and to one scale."""
_TABLE_COPIES = 3
"""Item tables in a worker: the weights, the gradient's rows and the gathered copy."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A point of a run at which much is held at once.

    Attributes:
        when: in words.
        parts: what is held.
    """

    when: str
    parts: tuple[Part, ...]

    @property
    def total(self) -> int:
        """Bytes of all parts."""
        return sum(part.size for part in self.parts)

    @property
    def largest(self) -> Part:
        """The part that takes the most of those that a setting makes smaller."""
        return max((part for part in self.parts if part.lower), key=lambda part: part.size)


def largest_moment(config: TrainConfig, sizes: DataSizes) -> Moment:
    """The moment of a training run that takes the most memory; see the module for how it is reckoned.

    Args:
        config: everything that decides.
        sizes: of the data.
    """
    return max(moments(config, sizes), key=lambda m: m.total)


def moments(config: TrainConfig, sizes: DataSizes) -> list[Moment]:
    """Every moment that is reckoned; arguments as for `largest_moment`."""
    experts = expert_sizes(config, sizes)
    n_experts = 3 + len(experts) + (config.repeat is not None) + (config.habit is not None) + (config.trend is not None)
    prepared = _prepared(config, n_experts, sizes)
    weights = tuple(expert.weights for expert in experts)
    driver = _driver(sizes.n_events)
    solves = (
        Moment(
            f"fitting {expert.name} on everyone",
            (
                driver,
                prepared,
                *expert.system,
                *weights,
                *(other.weights for other in experts if other is not expert),
            ),
        )
        for expert in experts
        if expert.system
    )
    return [
        Moment("training the body", (driver, *_workers(config, sizes))),
        Moment("preparing the heads' targets", (driver, prepared, *weights)),
        *solves,
        *_habits(config, sizes, driver, prepared),
        Moment("writing the snapshot", (driver, *weights, *(part.times(2) for part in weights))),
    ]


def refuse_what_does_not_fit(config: TrainConfig, sizes: DataSizes) -> None:
    """Stops before anything is fitted; arguments as for `largest_moment`.

    Raises:
        ConfigError: the largest moment takes more memory than there is; the message says which setting to lower.
    """
    _refuse(largest_moment(config, sizes), sizes.n_items)


def refuse_expert_that_does_not_fit(config: TrainConfig, name: str, sizes: DataSizes) -> None:
    """The same for one expert fitted alone; those without item-item weights always fit.

    Raises:
        ConfigError: fitting it takes more memory than there is; the message says which setting to lower.
    """
    driver = _driver(sizes.n_events)
    if name == BODY:
        _refuse(Moment("training the body", (driver, *_workers(config, sizes))), sizes.n_items)
    for expert in expert_sizes(config, sizes):
        if expert.name == name:
            _refuse(Moment(f"fitting {name}", (driver, expert.weights, *expert.system)), sizes.n_items)


def _refuse(moment: Moment, n_items: int) -> None:
    there = available_memory()
    if moment.total <= there:
        return
    largest = moment.largest
    raise ConfigError(
        f"This configuration does not fit into memory: {moment.when} takes about {_gigabytes(moment.total)} for "
        f"{n_items:,} items, and {_gigabytes(there)} are available. The largest part is {largest.what} "
        f"({_gigabytes(largest.size)}): {largest.lower}. Nothing was fitted."
    )


def _driver(n_events: int) -> Part:
    return Part("libraries and events", DRIVER_BYTES + EVENT_BYTES * n_events, "")


def _prepared(config: TrainConfig, n_experts: int, sizes: DataSizes) -> Part:
    rows = min(config.generator.max_targets, sizes.n_events)
    size = min(rows * sizes.n_items * (2 * n_experts + 1), int(config.generator.target_gigabytes * GIGA))
    return Part("the targets' expert scores", size, "lower generator.target_gigabytes or generator.max_targets")


def _workers(config: TrainConfig, sizes: DataSizes) -> tuple[Part, ...]:
    body, training, workers = config.body, config.body_training, config.workers
    tables = 4 * body.width * (sizes.n_items + 1 + sizes.n_attributes) * _TABLE_COPIES
    events = training.batch_events
    states = 4 * events * body.width * _ACTIVATIONS * body.layers
    attention = 4 * events * body.length * body.heads * 3 * body.layers
    logits = 4 * events * (min(training.negatives, sizes.n_items) + 1) * 4
    return (
        Part("the workers' processes", WORKER_BYTES * workers, "lower workers"),
        Part("the workers' item tables", tables * workers, "lower body.width or workers"),
        Part("a step's activations", states + attention + logits, "lower body_training.batch_events"),
    )


def _habits(config: TrainConfig, sizes: DataSizes, driver: Part, prepared: Part) -> tuple[Moment, ...]:
    if config.habit is None or not sizes.n_repeatable:
        return ()
    records = min(config.habit.targets_per_user * sizes.n_repeatable, config.habit.max_targets * sizes.n_items)
    size = records * (_RECORD_COPIES * 4 * (len(config.habit.half_lives) + 2) + _RECORD_BYTES)
    lower = "lower habit.max_targets or habit.targets_per_user"
    return (Moment("fitting habit on everyone", (driver, prepared, Part("the users' records", size, lower))),)


def _gigabytes(size: int) -> str:
    return f"{size / GIGA:.1f} GB"
