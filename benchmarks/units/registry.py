"""All units in the order in which they run. A unit of one's own is added here and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.units import data, summary
from benchmarks.units.baselines import BASELINES
from benchmarks.units.baskets import BASKETS
from benchmarks.units.blend import BLEND
from benchmarks.units.budget import BUDGET
from benchmarks.units.calibration import CALIBRATION
from benchmarks.units.fine_tuned import FINE_TUNED_HEADS
from benchmarks.units.heads import HEADS, STAGES
from benchmarks.units.peers import sasrec_units
from benchmarks.units.temporal import TEMPORAL_SPLIT
from benchmarks.units.unit import Unit
from benchmarks.units.unseen import UNSEEN_BASELINES
from benchmarks.units.unseen_model import UNSEEN_MODEL
from recsys.errors import ConfigError

UNITS: tuple[Unit, ...] = (
    data.DATA,
    *BASELINES,
    *BASKETS,
    STAGES,
    HEADS,
    CALIBRATION,
    BLEND,
    FINE_TUNED_HEADS,
    UNSEEN_BASELINES,
    *UNSEEN_MODEL,
    *sasrec_units(),
    TEMPORAL_SPLIT,
    BUDGET,
    summary.UNIT,
)


def selected(names: Sequence[str]) -> list[Unit]:
    """The units of these names in running order; all of them where no name is given.

    Raises:
        ConfigError: there is no such unit.
    """
    known = {unit.name: unit for unit in UNITS}
    missing = [name for name in names if name not in known]
    if missing:
        raise ConfigError(f"There is no unit '{missing[0]}'. There is: {', '.join(known)}.")
    return [unit for unit in UNITS if not names or unit.name in names]
