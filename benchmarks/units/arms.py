"""An arm: one scorer under one seed, as the rank and the log-loss of each user's target. What everything is told by."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.units.files import file_hash, read_json, write_json, write_whole
from recsys.errors import DataError
from recsys.metrics.ranking import ndcg, ranking_metrics

WARM = "warm"
_VALUE = "value:"


@dataclass(frozen=True, slots=True)
class Arm:
    """One scorer, one seed, one protocol.

    Attributes:
        name: what the table calls it, e.g. "iALS" or "head: lowrank".
        seed: of its fit; 0 where no seed changes it.
        ranks: (users,) int64 rank of each user's target, 0 is best, ties lose; n_items where it cannot be recommended.
        log_loss: (users,) float32 nats of the target.
        users: (users,) int64 position of each user in the data set's sequences, ascending.
        protocol: "warm", or what other cases these are, e.g. "unseen-3".
        notes: anything to keep beside it: chosen settings, trials, seconds. Plain values.
        values: (users,) float values of metrics that the rank alone does not give, by name; where targets are baskets,
            `ndcg@10` and `recall@10`. They take the place of what the rank would give.
    """

    name: str
    seed: int
    ranks: np.ndarray
    log_loss: np.ndarray
    users: np.ndarray
    protocol: str = WARM
    notes: Mapping[str, object] = field(default_factory=dict)
    values: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not len(self.ranks) == len(self.log_loss) == len(self.users) > 0:
            raise ValueError(f"The arm '{self.name}' needs one rank and one log-loss for each of its users, and users.")
        if not np.isfinite(self.log_loss).all():
            raise ValueError(f"The arm '{self.name}' (seed {self.seed}) has a log-loss that is not finite.")
        if any(own.shape != self.ranks.shape for own in self.values.values()):
            raise ValueError(f"The arm '{self.name}' needs one value of each metric for each of its users.")

    def metrics(self) -> dict[str, float]:
        """Means over users: NDCG and HR at several cutoffs, MRR, log-loss, and the own values.

        Where a target is a basket, NDCG is that of the own values alone: the rank is of the basket's best item.
        """
        own = {name: float(values.mean(dtype=np.float64)) for name, values in self.values.items()}
        ranked = ranking_metrics(self.ranks)
        if own:
            ranked = {name: value for name, value in ranked.items() if not name.startswith("ndcg@")}
        return {**ranked, "log_loss": float(self.log_loss.mean(dtype=np.float64)), **own}

    def per_user(self, metric: str) -> np.ndarray:
        """(users,) float64 values of `ndcg@10`, `log_loss` or one of the own metrics.

        Raises:
            KeyError: there is no such metric.
        """
        if metric == "log_loss":
            return self.log_loss.astype(np.float64)
        if metric in self.values:
            return self.values[metric].astype(np.float64)
        if metric == "ndcg@10":
            return ndcg(self.ranks, 10)
        raise KeyError(metric)


def arm_file(folder: Path, name: str, seed: int, protocol: str) -> Path:
    """Where an arm's arrays lie; the JSON beside them says what they are."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return folder / protocol / f"{slug}-s{seed}.npz"


def save_arm(folder: Path, arm: Arm, key: str) -> dict[str, object]:
    """Writes `.npz` and then `.json`, each whole or not at all.

    Args:
        folder: of a workspace's split.
        arm: what to keep.
        key: of the inputs that it was made from.

    Returns:
        What a result file says of the arm.
    """
    path = arm_file(folder, arm.name, arm.seed, arm.protocol)
    arrays: dict[str, np.ndarray] = {
        "ranks": arm.ranks.astype(np.int64),
        "log_loss": arm.log_loss.astype(np.float32),
        "users": arm.users.astype(np.int64),
        **{f"{_VALUE}{name}": own.astype(np.float32) for name, own in arm.values.items()},
    }
    write_whole(path, lambda temporary: _save(temporary, arrays))
    entry = {
        "name": arm.name,
        "seed": arm.seed,
        "protocol": arm.protocol,
        "users": len(arm.users),
        "metrics": arm.metrics(),
        "notes": dict(arm.notes),
        "file": path.relative_to(folder).as_posix(),
        "sha256": file_hash(path),
        "key": key,
    }
    write_json(path.with_suffix(".json"), entry)
    return entry


def saved_entry(folder: Path, name: str, seed: int, protocol: str, key: str) -> dict[str, object] | None:
    """What was said of an arm when it was saved; None when it was not, or from other inputs, or is damaged."""
    path = arm_file(folder, name, seed, protocol)
    entry = read_json(path.with_suffix(".json"))
    if entry is None or entry.get("key") != key or not path.is_file() or file_hash(path) != entry.get("sha256"):
        return None
    return entry


def load_arm(folder: Path, entry: Mapping[str, object]) -> Arm:
    """The arm that a result file speaks of.

    Raises:
        DataError: its arrays are gone or are others.
    """
    path = folder / str(entry["file"])
    if not path.is_file() or file_hash(path) != entry["sha256"]:
        raise DataError(
            f"The arrays of '{entry['name']}' (seed {entry['seed']}) in {path} are gone or not those that its results "
            "file speaks of. Run its unit again: --unit NAME --again."
        )
    with np.load(path, allow_pickle=False) as arrays:
        return Arm(
            name=str(entry["name"]),
            seed=int(str(entry["seed"])),
            ranks=arrays["ranks"],
            log_loss=arrays["log_loss"],
            users=arrays["users"],
            protocol=str(entry["protocol"]),
            notes=dict(entry["notes"]),  # type: ignore[call-overload]
            values={name.removeprefix(_VALUE): arrays[name] for name in arrays.files if name.startswith(_VALUE)},
        )


def _save(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    with path.open("wb") as opened:
        np.savez_compressed(opened, allow_pickle=False, **arrays)
