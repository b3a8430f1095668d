"""Tensors that say they are on a GPU and are computed on the CPU, to find what is on the wrong device without a GPU.

An operation on tensors of both devices is refused as CUDA refuses it: numbers (tensors without dimensions) may come
from the CPU, and so may indices; nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")
_aten = torch.ops.aten
_BETWEEN = (_aten._to_copy.default, _aten.copy_.default)
_INDEXED = (_aten.index.Tensor, _aten.index_put.default, _aten.index_put_.default, _aten._index_put_impl_.default)


class OnGpu(Tensor):
    """A tensor that says so; `kept` holds its numbers."""

    kept: Tensor

    @staticmethod
    def __new__(cls, kept: Tensor) -> OnGpu:
        # For torch's own C++, which would look for CUDA, it has no place.
        made = Tensor._make_wrapper_subclass(cls, kept.shape, strides=kept.stride(), dtype=kept.dtype, device="meta")
        made.kept = kept
        return made

    def __init__(self, kept: Tensor) -> None:
        super().__init__()

    @property
    def device(self) -> torch.device:
        return CUDA

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _computed(func, args, kwargs or {})


class _Made(TorchDispatchMode):
    """Has what is made on a GPU made as such a tensor."""

    _mode_key = torch._C._TorchDispatchModeKey.FAKE
    """As torch's own fake tensors say it, so that no CUDA is looked for."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _computed(func, args, kwargs or {})


@contextmanager
def pretended_gpu() -> Iterator[None]:
    """Within it `cuda` is a device; without gradients."""
    torch._C._set_only_lift_cpu_tensors(True)  # `torch.tensor` goes by the CPU, whence what follows sees it
    try:
        with torch.no_grad(), _Made():
            yield
    finally:
        torch._C._set_only_lift_cpu_tensors(False)


def _computed(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    there = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    _refuse_both(func, args, there)
    device = torch.device(kwargs["device"]) if kwargs.get("device") is not None else None
    told = kwargs | {"device": CPU} if device is not None else kwargs
    plain_args, plain_kwargs = tree_map_only(OnGpu, lambda own: own.kept, (args, told))
    found = func(*plain_args, **plain_kwargs)
    on_gpu = device.type == "cuda" if device is not None else any(isinstance(own, OnGpu) for own in there)
    if func is _aten.copy_.default:
        return args[0]
    if func._schema.name.endswith("_") and isinstance(args[0], OnGpu):
        return args[0]
    return tree_map_only(Tensor, OnGpu, found) if on_gpu else found


def _refuse_both(func: Any, args: Any, there: list[Tensor]) -> None:
    judged = [args[0]] if func in _INDEXED and isinstance(args[0], OnGpu) else there
    devices = {own.device.type for own in judged if own.dim() or isinstance(own, OnGpu)}
    if len(devices) > 1 and func not in _BETWEEN:
        raise RuntimeError(f"{func} found tensors on two devices, {' and '.join(sorted(devices))}")
