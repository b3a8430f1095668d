"""How many trials run side by side goes by the one that takes the most memory, not by what is searched from."""

from recsys.training.config import load_config
from recsys.training.memory_estimate import largest_moment
from recsys.training.system_sizes import DataSizes
from recsys.tuning.search import most_memory
from recsys.tuning.space import SearchSpace

SIZES = DataSizes(n_items=50, n_attributes=0, n_events=1_000, n_prefixes=1_000, n_repeatable=0)


def test_the_most_that_a_trial_takes_is_of_the_largest_values_that_go_together(tmp_path):
    base = load_config("quickstart")
    (tmp_path / "space.toml").write_text(
        "[body]\nheads = { choices = [1, 3] }\nlayers = { low = 1, high = 6 }\n"
        "[body_training]\nbatch_events = { low = 100, high = 1000000 }\n"
    )
    space = SearchSpace.load(tmp_path / "space.toml", base)
    largest = space.applied(base, {"body.layers": 6, "body_training.batch_events": 10**6})
    found = most_memory(space, base, SIZES)
    assert found == largest_moment(largest, SIZES).total > 2 * largest_moment(base, SIZES).total
