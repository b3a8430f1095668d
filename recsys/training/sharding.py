"""How the body's tables are spread over workers: torchrec's planner and DistributedModelParallel around the model."""

from __future__ import annotations

from itertools import chain
from typing import Any

import torch
import torch.distributed as dist
import torchrec
from fbgemm_gpu.split_table_batched_embeddings_ops_common import PoolingMode
from fbgemm_gpu.split_table_batched_embeddings_ops_training import SplitTableBatchedEmbeddingBagsCodegen
from torch import Tensor, nn
from torchrec.distributed import DistributedModelParallel
from torchrec.distributed.embedding_types import EmbeddingComputeKernel
from torchrec.distributed.model_parallel import get_default_sharders
from torchrec.distributed.planner import EmbeddingShardingPlanner, Topology
from torchrec.distributed.planner.types import ParameterConstraints
from torchrec.distributed.types import ShardingType

from recsys.errors import TrainingError
from recsys.training.body_model import ATTRIBUTE_TABLE, ITEM_TABLE


def shard(model: nn.Module, device: torch.device) -> nn.Module:
    """Tables with fused optimisers, their rows spread over the workers; dense parts copied to every worker.

    A single worker has whole tables: that spares it the sorting of rows by worker. A process group must have been
    initialised (gloo on CPU, nccl on GPU).

    Args:
        model: a module whose tables are on the meta device and carry their optimiser.
        device: this worker's device.

    Raises:
        TrainingError: torchrec is not as this module knows it.
    """
    group = dist.group.WORLD
    spread = ShardingType.ROW_WISE if dist.get_world_size() > 1 else ShardingType.TABLE_WISE
    topology = Topology(world_size=dist.get_world_size(), compute_device=device.type)
    constraints = {
        table: ParameterConstraints(sharding_types=[spread.value], compute_kernels=[EmbeddingComputeKernel.FUSED.value])
        for table in (ITEM_TABLE, ATTRIBUTE_TABLE)
    }
    sharders = get_default_sharders()
    planner = EmbeddingShardingPlanner(topology=topology, constraints=constraints)
    plan = planner.collective_plan(model, sharders, group)
    sharded: nn.Module = DistributedModelParallel(model, device=device, plan=plan, sharders=sharders)
    if device.type == "cpu":
        _look_up_in_bags(sharded)
    return sharded


def _look_up_in_bags(sharded: nn.Module) -> None:
    """Makes every row that is looked up a bag of its own: on a CPU FBGEMM's fused step is much faster on bags.

    A bag of one is its row, forwards and backwards. Tables side by side in one kernel have as many bags each.
    """
    lookups = [own for module in sharded.modules() for own in getattr(module, "_lookups", ())]
    inside = chain.from_iterable(lookup.modules() for lookup in lookups)
    kernels = [kernel for kernel in inside if isinstance(kernel, SplitTableBatchedEmbeddingBagsCodegen)]
    if not kernels:
        raise TrainingError(
            f"torchrec {torchrec.__version__} keeps the tables' kernels elsewhere than the version that this library "
            "was made for, and training would be many times slower. Install the versions of requirements/lock.txt."
        )
    for kernel in kernels:
        kernel.pooling_mode = PoolingMode.SUM
        bags = _Bags(kernel)
        kernel.register_forward_pre_hook(bags.before, with_kwargs=True)
        kernel.register_forward_hook(bags.after)


class _Bags:
    """The bags of a kernel's step: what it is asked, and what it answers.

    Args:
        kernel: of one or several tables, a feature each.
    """

    def __init__(self, kernel: SplitTableBatchedEmbeddingBagsCodegen) -> None:
        self._features = len(kernel.feature_table_map)
        self._rows: list[int] = []

    def before(self, kernel: nn.Module, _: tuple[()], asked: dict[str, Tensor]) -> tuple[tuple[()], dict[str, Tensor]]:
        """Offsets of rows become offsets of bags: those of a feature, then empty ones up to as many as the most."""
        ends = asked["offsets"][:: (len(asked["offsets"]) - 1) // self._features]
        self._rows = ends.diff().tolist()
        bag = torch.arange(max(*self._rows, 1) + 1, device=ends.device)  # an empty one where nothing is asked
        starts = [first + bag[:-1].clamp(max=rows) for first, rows in zip(ends.tolist(), self._rows, strict=False)]
        return (), {**asked, "offsets": torch.cat([*starts, ends[-1:]])}

    def after(self, kernel: nn.Module, _: tuple[()], found: Tensor) -> Tensor:
        """(rows, width) of every feature, one after the other."""
        if self._rows == [len(found)]:
            return found
        parts = found.view(len(found), self._features, -1).unbind(1)
        return torch.cat([part[:rows] for part, rows in zip(parts, self._rows, strict=True)])


def gathered_vectors(sharded: nn.Module, rank: int) -> dict[str, Tensor] | None:
    """Each whole table on worker 0 as a plain CPU tensor, None on the others. Every worker must call it."""
    tables = {
        name: value
        for name in (ITEM_TABLE, ATTRIBUTE_TABLE)
        for key, value in sharded.state_dict().items()
        if key.endswith(f"{name}.weight")
    }
    whole = {name: _whole(table, rank) for name, table in tables.items()}
    return {name: table for name, table in whole.items() if table is not None} if rank == 0 else None


def _whole(table: Any, rank: int) -> Tensor | None:
    if isinstance(table, Tensor) and not hasattr(table, "local_shards"):
        full = table.full_tensor() if hasattr(table, "full_tensor") else table
        return full.detach().cpu().clone() if rank == 0 else None
    # Worker 0 collects where its rows are: nccl reaches no other memory.
    out = torch.empty(table.metadata().size, device=table.local_shards()[0].tensor.device) if rank == 0 else None
    table.gather(0, out)
    return None if out is None else out.cpu()
