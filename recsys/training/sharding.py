"""How the body's tables are spread over workers: torchrec's planner and DistributedModelParallel around the model."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torchrec.distributed import DistributedModelParallel
from torchrec.distributed.embedding_types import EmbeddingComputeKernel
from torchrec.distributed.model_parallel import get_default_sharders
from torchrec.distributed.planner import EmbeddingShardingPlanner, Topology
from torchrec.distributed.planner.types import ParameterConstraints
from torchrec.distributed.types import ShardingType

from recsys.training.body_model import ATTRIBUTE_TABLE, ITEM_TABLE


def shard(model: nn.Module, device: torch.device) -> nn.Module:
    """Row-wise sharded tables with fused optimisers, dense parts copied to every worker.

    A process group must have been initialised (gloo on CPU, nccl on GPU).

    Args:
        model: a module whose tables are on the meta device and carry their optimiser.
        device: this worker's device.
    """
    group = dist.group.WORLD
    topology = Topology(world_size=dist.get_world_size(), compute_device=device.type)
    constraints = {
        table: ParameterConstraints(
            sharding_types=[ShardingType.ROW_WISE.value], compute_kernels=[EmbeddingComputeKernel.FUSED.value]
        )
        for table in (ITEM_TABLE, ATTRIBUTE_TABLE)
    }
    sharders = get_default_sharders()
    planner = EmbeddingShardingPlanner(topology=topology, constraints=constraints)
    plan = planner.collective_plan(model, sharders, group)
    sharded: nn.Module = DistributedModelParallel(model, device=device, plan=plan, sharders=sharders)
    return sharded


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
    out = torch.empty(table.metadata().size) if rank == 0 else None
    table.gather(0, out)
    return out
