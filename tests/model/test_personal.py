"""A model is rebuilt from plain tensors and its config with the same scores, or refused."""

import pytest
import torch

from recsys.errors import SnapshotError
from recsys.model.personal import ModelConfig, build_model

KINDS = ("gains", "film", "lowrank", "full")
HISTORIES = ([1, 2, 3], [4], [], [5, 6, 7, 8, 9, 10, 11, 12, 1])


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_and_the_one_rebuilt_from_it_score_identically(model, contexts, kind):
    made = model(kind)
    config = ModelConfig.model_validate_json(made.config.model_dump_json())
    again = build_model(config, {name: tensor.clone() for name, tensor in made.tensors().items()})
    one, other = made.forward(contexts(*HISTORIES)), again.forward(contexts(*HISTORIES))
    assert torch.equal(one.scores, other.scores)
    assert torch.equal(one.head.flat(), other.head.flat())
    assert torch.equal(made.shared_scores(one.outputs), again.shared_scores(other.outputs))
    assert made.tensors().keys() == again.tensors().keys()


def test_its_tensors_are_contiguous_and_free_of_gradients(model):
    for name, tensor in model().tensors().items():
        assert tensor.is_contiguous(), name
        assert not tensor.requires_grad, name


@pytest.mark.parametrize("kind", KINDS)
def test_heads_differ_between_users_once_the_generator_has_learnt(model, contexts, kind):
    heads = model(kind).forward(contexts([1, 2, 3], [7])).head.flat()
    assert not torch.allclose(heads[0], heads[1], atol=1e-2)


@pytest.mark.parametrize("kind", KINDS)
def test_of_whom_nothing_is_known_the_head_is_the_shared_one(model, contexts, kind):
    made = model(kind)
    found = made.forward(contexts([], [1, 2, 3]))
    shared = made.hypernetwork.shared
    assert torch.equal(found.head.flat()[0], shared)
    assert not torch.allclose(found.head.flat()[1], shared, atol=1e-2)


def test_a_users_scores_do_not_depend_on_the_batch(model, contexts):
    made = model()
    together = made.forward(contexts(*HISTORIES)).scores
    for row, history in enumerate(HISTORIES):
        alone = made.forward(contexts(history)).scores
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-4, rtol=1e-4)


def test_every_missing_tensor_is_named(model):
    tensors = model().tensors()
    for name in tensors:
        with pytest.raises(SnapshotError, match=name.split(".")[-1]):
            build_model(model().config, {other: tensor for other, tensor in tensors.items() if other != name})


def test_every_tensor_of_the_wrong_shape_is_refused(model):
    tensors = model().tensors()
    for name, tensor in tensors.items():
        wrong = torch.cat([tensor, tensor[:1]])
        with pytest.raises(SnapshotError):
            build_model(model().config, {**tensors, name: wrong})


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_refused_by_name(model, wrong):
    tensors = model().tensors()
    tensors["memory.weights"] = tensors["memory.weights"].clone()
    tensors["memory.weights"][1, 2, 3] = wrong
    with pytest.raises(SnapshotError, match=r"'memory\.weights' holds NaN or infinity"):
        build_model(model().config, tensors)
