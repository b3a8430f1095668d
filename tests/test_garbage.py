"""What was there when the service was assembled is no longer walked through by collections."""

import gc

from recsys.garbage import keep_what_is_there


def test_what_is_there_is_left_out_of_collections_and_later_cycles_are_not():
    before = gc.get_freeze_count()
    kept = [[]]
    try:
        keep_what_is_there()
        assert gc.get_freeze_count() > before
        assert not any(one is kept for one in gc.get_objects())
        cycle = []
        cycle.append(cycle)
        del cycle
        assert gc.collect() >= 1
    finally:
        gc.unfreeze()
