"""An arm on the disk is the arm that was saved, and none is without a loss for everybody."""

import numpy as np
import pytest

from benchmarks.units.arms import Arm, arm_file, load_arm, save_arm
from recsys.errors import DataError


def test_an_arm_survives_the_disk_and_a_changed_file_is_refused(tmp_path):
    arm = Arm("ours", 0, np.arange(5), np.full(5, 2.0, np.float32), np.arange(5))
    entry = save_arm(tmp_path, arm, "key")
    loaded = load_arm(tmp_path, entry)
    assert loaded.ranks.tolist() == [0, 1, 2, 3, 4]
    assert (loaded.ranks.dtype, loaded.log_loss.dtype) == (np.int64, np.float32)
    arm_file(tmp_path, "ours", 0, "warm").write_bytes(b"other")
    with pytest.raises(DataError, match="gone or not those"):
        load_arm(tmp_path, entry)


def test_an_arm_without_a_finite_loss_for_each_user_is_refused():
    with pytest.raises(ValueError, match="one rank and one log-loss"):
        Arm("ours", 0, np.zeros(3, np.int64), np.zeros(2, np.float32), np.arange(3))
    with pytest.raises(ValueError, match="not finite"):
        Arm("ours", 0, np.zeros(2, np.int64), np.array([1, np.inf], np.float32), np.arange(2))
