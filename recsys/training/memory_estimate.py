"""How much memory a training run will take at its largest moment, reckoned before anything is fitted.

How the estimate is made: a run passes through the moments below, each a sum of arrays whose sizes follow from the
configuration and the catalogue. n items, a attributes, c stacked columns (histories x n, and a), four bytes a number.

- The body: every worker is a process with libraries, tables and one step's activations.
- The targets of the heads: their expert scores (two bytes a score) and masks, beside
  the experts fitted without them.
- Each closed-form solve, on everyone: the experts of both fits, the targets, and the system. A sequence memory's is
  4c² bytes twice (XᵀDX and its factor) and 4cn twice (XᵀY and the solution); or, where that is more, 4c² and what it
  is counted from: the sparse product and, four times, the decayed histories (prefixes x windows), eight bytes an
  entry. EASE's is 4n² four times.
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
from recsys.training.system_sizes import Part, expert_sizes

GIGA = 1_000_000_000
DRIVER_BYTES = 500_000_000
"""Feast, MLflow and Ray's client, which are imported while training."""
WORKER_BYTES = 700_000_000
"""A Ray Train worker before it holds any data: interpreter, torch, torchrec."""
EVENT_BYTES = 150
"""An event in the log's frame and in the flat arrays."""
_ACTIVATIONS = 12
"""Arrays of a step's size that a block keeps for its gradient."""
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


def largest_moment(
    config: TrainConfig, *, n_items: int, n_attributes: int, n_events: int, n_prefixes: int | None = None
) -> Moment:
    """The moment of a training run that takes the most memory; see the module for how it is reckoned.

    Args:
        config: everything that decides.
        n_items: size of the vocabulary.
        n_attributes: distinct item attributes.
        n_events: events to train on.
        n_prefixes: histories that something follows; None: one an event.
    """
    return max(
        moments(config, n_items=n_items, n_attributes=n_attributes, n_events=n_events, n_prefixes=n_prefixes),
        key=lambda m: m.total,
    )


def moments(
    config: TrainConfig, *, n_items: int, n_attributes: int, n_events: int, n_prefixes: int | None = None
) -> list[Moment]:
    """Every moment that is reckoned; arguments as for `largest_moment`."""
    experts = expert_sizes(config, n_items, n_attributes, n_prefixes or n_events)
    n_experts = 3 + len(experts) + (config.repeat is not None) + (config.habit is not None) + (config.trend is not None)
    prepared = _prepared(config, n_experts, n_items, n_events)
    weights = tuple(expert.weights for expert in experts)
    driver = _driver(n_events)
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
        Moment("training the body", (driver, *_workers(config, n_items, n_attributes))),
        Moment("preparing the heads' targets", (driver, prepared, *weights)),
        *solves,
        Moment("writing the snapshot", (driver, *weights, *(part.times(2) for part in weights))),
    ]


def refuse_what_does_not_fit(
    config: TrainConfig, *, n_items: int, n_attributes: int, n_events: int, n_prefixes: int | None = None
) -> None:
    """Stops before anything is fitted; arguments as for `largest_moment`.

    Raises:
        ConfigError: the largest moment takes more memory than there is; the message says which setting to lower.
    """
    _refuse(
        largest_moment(config, n_items=n_items, n_attributes=n_attributes, n_events=n_events, n_prefixes=n_prefixes),
        n_items,
    )


def refuse_expert_that_does_not_fit(
    config: TrainConfig, name: str, *, n_items: int, n_attributes: int, n_events: int, n_prefixes: int | None = None
) -> None:
    """The same for one expert fitted alone; those without item-item weights always fit.

    Raises:
        ConfigError: fitting it takes more memory than there is; the message says which setting to lower.
    """
    driver = _driver(n_events)
    if name == BODY:
        _refuse(Moment("training the body", (driver, *_workers(config, n_items, n_attributes))), n_items)
    for expert in expert_sizes(config, n_items, n_attributes, n_prefixes or n_events):
        if expert.name == name:
            _refuse(Moment(f"fitting {name}", (driver, expert.weights, *expert.system)), n_items)


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


def _prepared(config: TrainConfig, n_experts: int, n_items: int, n_events: int) -> Part:
    rows = min(config.generator.max_targets, n_events)
    size = min(rows * n_items * (2 * n_experts + 1), int(config.generator.target_gigabytes * GIGA))
    return Part("the targets' expert scores", size, "lower generator.target_gigabytes or generator.max_targets")


def _workers(config: TrainConfig, n_items: int, n_attributes: int) -> tuple[Part, ...]:
    body, training, workers = config.body, config.body_training, config.workers
    tables = 4 * body.width * (n_items + 1 + n_attributes) * _TABLE_COPIES
    events = training.batch_events
    states = 4 * events * body.width * _ACTIVATIONS * body.layers
    attention = 4 * events * body.length * body.heads * 3 * body.layers
    logits = 4 * events * (training.negatives + 1) * 4
    return (
        Part("the workers' processes", WORKER_BYTES * workers, "lower workers"),
        Part("the workers' item tables", tables * workers, "lower body.width or workers"),
        Part("a step's activations", states + attention + logits, "lower body_training.batch_events"),
    )


def _gigabytes(size: int) -> str:
    return f"{size / GIGA:.1f} GB"
