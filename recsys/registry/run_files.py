"""The files that a training run leaves with MLflow beside its snapshot: settings, curves, validation, environment."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import distributions
from pathlib import Path

import torch

from recsys.evaluation.plots import saved_figure

FOLDER = "training"
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def write_run_files(
    folder: Path,
    *,
    config: Mapping[str, object],
    lineage: Mapping[str, object],
    metrics: Mapping[str, object],
    counts: Mapping[str, int],
    curves: Mapping[str, Sequence[float]],
    card: str,
) -> list[Path]:
    """Writes a run's record.

    Args:
        folder: where to; made when missing.
        config: the resolved configuration, nested as it is (parameters are flat texts).
        lineage: data fingerprint, log position, features, code.
        metrics: the validation report's figures by scorer.
        counts: how much was trained on what.
        curves: one value an epoch, by name; those with one value or none are not drawn.
        card: the model card, the report's page for people.

    Returns:
        `config.json`, `environment.json`, `packages.txt`, `validation.json`, `report.md` and, where there is a curve,
        `curves.png`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    report = {"lineage": lineage, "metrics": metrics, "counts": counts, "curves": curves}
    written = {
        "config.json": _json(config),
        "environment.json": _json(environment()),
        "packages.txt": "\n".join(installed_packages()) + "\n",
        "validation.json": _json(report),
        "report.md": card,
    }
    for name, text in written.items():
        (folder / name).write_text(text, encoding="utf-8")
    files = [folder / name for name in written]
    drawn = {name: curve for name, curve in curves.items() if len(curve) > 1}
    if drawn:
        draw_curves(drawn, folder / "curves.png")
        files.append(folder / "curves.png")
    return files


def environment() -> dict[str, object]:
    """What else decides beside code, data and settings: interpreter, processor, threads. Names no user or host."""
    return {
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "system": platform.system(),
        "kernel": platform.release(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "cuda": torch.version.cuda,
        "gpus": torch.cuda.device_count(),
        "threads": {name: os.environ[name] for name in _THREAD_VARIABLES if name in os.environ},
    }


def installed_packages() -> list[str]:
    """`name==version` of everything that is installed, sorted."""
    return sorted({f"{found.name}=={found.version}" for found in distributions() if found.name}, key=str.lower)


def draw_curves(curves: Mapping[str, Sequence[float]], path: Path) -> None:
    """One panel a curve: its values over the epochs.

    Args:
        curves: one value an epoch, by name.
        path: the PNG.
    """
    with saved_figure(path) as figure:
        figure.set_size_inches(3.6 * len(curves), 3.0)
        for axes, (name, curve) in zip(figure.subplots(1, len(curves), squeeze=False)[0], curves.items(), strict=True):
            axes.plot(range(1, len(curve) + 1), curve, marker=".", linewidth=1)
            axes.set_title(name.replace("_", " "))
            axes.set(xlabel="epoch")
            axes.grid(visible=True)


def _json(value: object) -> str:
    return json.dumps(value, indent=2, sort_keys=True, default=dict) + "\n"
