"""A body that begins from an earlier version's instead of from nothing, and when it may. Reads no registry."""

from __future__ import annotations

from recsys.data.schema import WorkspaceSchema
from recsys.errors import ConfigError
from recsys.training.config import TrainConfig

EPOCHS = 1 / 3
"""Share of the configured epochs that a body gets which does not begin from nothing."""
RATE = 0.3
"""Share of the configured steps: Adagrad forgets how far it had come, and full steps would undo what is known."""


def warmed(config: TrainConfig) -> TrainConfig:
    """The configuration with fewer epochs and smaller steps of the body, for one that begins from another."""
    own = config.body_training
    fewer = {
        "epochs": max(round(own.epochs * EPOCHS), 1),
        "learning_rate": own.learning_rate * RATE,
        "table_learning_rate": own.table_learning_rate * RATE,
    }
    return config.model_copy(update={"body_training": own.model_copy(update=fewer)})


def refuse_to_begin_from(
    version: str, earlier: TrainConfig, earlier_position: int, config: TrainConfig, position: int
) -> None:
    """Refuses a start that would fit badly, or that has seen what heads are to learn from.

    On data that `refuse_other_data` lets pass events are only ever added, or go with their user, so that everybody's
    last events are new to an earlier version; a share of the users that is drawn anew is not.

    Raises:
        ConfigError: the bodies differ in shape, the version knows a later log, or it knew targets of this run.
    """
    shapes = [own.body.model_dump(exclude={"clock", "baskets", "dropout"}) for own in (earlier, config)]
    reason = None
    if shapes[0] != shapes[1]:
        reason = "its body has another shape"
    elif earlier_position > position:
        reason = f"it was trained on the log up to {earlier_position}, and this run is up to {position}"
    elif not earlier.generator.hold_out == config.generator.hold_out == "last":
        reason = "its body has seen users that this run keeps back for the heads; generator.hold_out has to be last"
    elif earlier.generator.held_out_events < config.generator.held_out_events:
        reason = "its body has seen events that this run keeps back for the heads (generator.held_out_events)"
    elif not _beginnings_are_new(earlier, config):
        reason = "its body has seen beginnings that this run keeps back for the heads (generator.beginners, seed)"
    if reason:
        raise _refusal(version, reason)


def refuse_other_data(
    version: str, then: WorkspaceSchema, now: WorkspaceSchema, config: TrainConfig, *, pruned_since: bool
) -> None:
    """Refuses a start whose body may have seen this run's targets because data mean or hold something else by now.

    Args:
        version: what the body would begin from.
        then: the schema that it was trained under.
        now: the schema of this run.
        config: of this run.
        pruned_since: whether users' oldest events were pruned from the log since its body was fitted.

    Raises:
        ConfigError: it may have.
    """
    reason = None
    if _decides_sequences(then) != _decides_sequences(now):
        reason = "the schema says something else of events since, so that its body may have seen targets of this run"
    elif now.baskets:
        reason = "its body has seen the last baskets of users who came back since, which this run keeps back"
    elif pruned_since and config.generator.beginners:
        reason = "events were pruned since, and what are beginnings now its body has seen (generator.beginners)"
    if reason:
        raise _refusal(version, reason)


def _decides_sequences(schema: WorkspaceSchema) -> tuple[object, ...]:
    return schema.clock, schema.repeats, schema.baskets, schema.events


def _refusal(version: str, reason: str) -> ConfigError:
    return ConfigError(f"Training cannot begin from version {version}: {reason}. Train from nothing.")


def _beginnings_are_new(earlier: TrainConfig, config: TrainConfig) -> bool:
    """Whether the first events of all of this run's beginners, who are drawn by name, are new to the earlier body."""
    before, now = earlier.generator, config.generator
    same = earlier.seed == config.seed and before.beginner_events >= now.beginner_events
    return not now.beginners or (same and before.beginners >= now.beginners)
