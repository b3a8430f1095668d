"""Checks that torch and fbgemm fit each other: two fbgemm packages write the same files and only one of them loads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from recsys.jobs.doctor import installed
from recsys.jobs.doctor.finding import Finding
from recsys.jobs.doctor.probe import run_probe

CPU, CUDA = installed.FBGEMM_VARIANTS
FBGEMM = "1.8.0"

_DESCRIBE_TORCH = (
    "import json, torch; gpu = torch.cuda.is_available(); "
    "print(json.dumps({'version': torch.__version__, 'cuda': torch.version.cuda, "
    "'gpu': torch.cuda.get_device_name(0) if gpu else None}))"
)
_USE_FBGEMM = (
    "import torch, fbgemm_gpu; "
    "assert torch.ops.fbgemm.asynchronous_complete_cumsum(torch.tensor([1, 2])).tolist() == [0, 1, 3]"
)


@dataclass(frozen=True, slots=True)
class TorchBuild:
    """What the installed torch says of itself.

    Attributes:
        version: for example `2.13.0+cpu`.
        cuda: the CUDA release it was built for; None for a CPU build.
        gpu: the first GPU's name; None when torch sees none.
    """

    version: str
    cuda: str | None
    gpu: str | None


def check_torch() -> list[Finding]:
    """The torch build, the GPU, and the fbgemm variant that must go with it."""
    probe = run_probe(_DESCRIBE_TORCH)
    if not probe.worked:
        wanted = "torch==2.13.0"
        return [Finding("torch", "problem", f"torch cannot be used: {probe.output}.", installed.pip_install(wanted))]
    build = TorchBuild(**json.loads(probe.output))
    kind = f"built for CUDA {build.cuda}" if build.cuda else "a CPU build"
    return [Finding("torch", "ok", f"torch {build.version}, {kind}."), gpu_finding(build), _check_fbgemm(build)]


def gpu_finding(build: TorchBuild) -> Finding:
    """Whether a GPU is seen, and that we could not test with one."""
    if build.gpu is None:
        return Finding("GPU", "ok", "None seen: everything runs on the CPU.")
    return Finding("GPU", "note", f"{build.gpu} seen. The code paths for GPUs are untested by us.")


def _check_fbgemm(build: TorchBuild) -> Finding:
    versions = {name: installed.version_of(name) for name in (CPU, CUDA)}
    finding = variant_finding(versions, build)
    if finding.status == "problem":
        return finding
    probe = run_probe(_USE_FBGEMM)
    if probe.worked:
        return finding
    return Finding(
        "fbgemm",
        "problem",
        f"fbgemm is installed and its operators do not load: {probe.output}. "
        "Its files may be another variant's, or for another torch.",
        _only(_fitting(build)),
    )


def variant_finding(versions: Mapping[str, str | None], build: TorchBuild) -> Finding:
    """Judges which fbgemm packages are there, beside which torch.

    Args:
        versions: distribution name of each variant → its version, None when it is not installed.
        build: the torch beside it.

    Returns:
        A problem when both, none, or one that cannot load is there; a note for the slow one that works.
    """
    there = [name for name in (CPU, CUDA) if versions.get(name)]
    fitting = _fitting(build)
    kind = "a CUDA" if build.cuda else "a CPU"
    if not there:
        return Finding(
            "fbgemm",
            "problem",
            f"No fbgemm is installed; torchrec needs {fitting} beside {kind} torch.",
            installed.pip_install("--no-deps", f"{fitting}=={FBGEMM}"),
        )
    if len(there) == 2:
        other = CUDA if fitting == CPU else CPU
        return Finding(
            "fbgemm",
            "problem",
            f"{CPU} and {CUDA} are both installed and overwrite each other's files. "
            f"Remove {other}, then install {fitting} again: this is {kind} torch.",
            _only(fitting),
        )
    return _one_variant(there[0], str(versions[there[0]]), build)


def _one_variant(name: str, version: str, build: TorchBuild) -> Finding:
    if name == CUDA and build.cuda is None:
        says = f"{CUDA} {version} is the CUDA variant and cannot load beside the CPU torch {build.version}."
        return Finding("fbgemm", "problem", says, _only(CPU))
    if version != FBGEMM:
        says = f"{name} is {version}; torch 2.13 and torchrec 1.8 go with {FBGEMM}."
        return Finding("fbgemm", "problem", says, _only(_fitting(build)))
    if name == CPU and build.cuda is not None:
        says = f"{CPU} {version} beside a CUDA torch: it works, with embedding tables on the CPU only."
        return Finding("fbgemm", "note", says, _only(CUDA))
    return Finding("fbgemm", "ok", f"{name} {version}, the variant that fits this torch.")


def _fitting(build: TorchBuild) -> str:
    return CUDA if build.cuda else CPU


def _only(name: str) -> str:
    """The command that leaves just this variant, with its own files."""
    remove = installed.pip_install().replace(" install", f" uninstall -y {CPU} {CUDA}")
    return f"{remove} && {installed.pip_install('--no-deps', f'{name}=={FBGEMM}')}"
