"""Which fbgemm goes with which torch, and what the doctor says when they do not fit."""

from __future__ import annotations

import json

import pytest

from recsys.jobs.doctor import torch_variant
from recsys.jobs.doctor.probe import Probe
from recsys.jobs.doctor.torch_variant import TorchBuild, gpu_finding, variant_finding

CPU_TORCH = TorchBuild(version="2.13.0+cpu", cuda=None, gpu=None)
CUDA_TORCH = TorchBuild(version="2.13.0", cuda="13.0", gpu=None)


def variants(cpu=None, cuda=None):
    return {"fbgemm-gpu-cpu": cpu, "fbgemm-gpu": cuda}


@pytest.mark.parametrize(
    ("versions", "build"),
    [(variants(cpu="1.8.0"), CPU_TORCH), (variants(cuda="1.8.0"), CUDA_TORCH)],
    ids=["cpu with cpu", "cuda with cuda"],
)
def test_the_fitting_variant_is_fine(versions, build):
    assert variant_finding(versions, build).status == "ok"


@pytest.mark.parametrize(
    ("build", "remove", "keep"),
    [
        (CPU_TORCH, "Remove fbgemm-gpu,", "fbgemm-gpu-cpu==1.8.0"),
        (CUDA_TORCH, "Remove fbgemm-gpu-cpu,", "fbgemm-gpu==1.8.0"),
    ],
    ids=["cpu torch", "cuda torch"],
)
def test_both_variants_say_which_one_to_remove_and_how(build, remove, keep):
    finding = variant_finding(variants(cpu="1.8.0", cuda="1.8.0"), build)
    assert finding.status == "problem"
    assert remove in finding.says
    assert "uninstall -y fbgemm-gpu-cpu fbgemm-gpu &&" in finding.mend
    assert finding.mend.endswith(f"install --no-deps {keep}")


def test_cuda_fbgemm_beside_cpu_torch_is_a_problem():
    finding = variant_finding(variants(cuda="1.8.0"), CPU_TORCH)
    assert finding.status == "problem"
    assert "cannot load beside the CPU torch" in finding.says
    assert finding.mend.endswith("install --no-deps fbgemm-gpu-cpu==1.8.0")


def test_cpu_fbgemm_beside_cuda_torch_works_and_is_noted():
    finding = variant_finding(variants(cpu="1.8.0"), CUDA_TORCH)
    assert finding.status == "note"
    assert finding.mend.endswith("install --no-deps fbgemm-gpu==1.8.0")


def test_no_fbgemm_says_which_one_to_install():
    finding = variant_finding(variants(), CPU_TORCH)
    assert finding.status == "problem"
    assert finding.mend.endswith("install --no-deps fbgemm-gpu-cpu==1.8.0")


def test_another_release_of_fbgemm_is_a_problem():
    finding = variant_finding(variants(cpu="1.7.0"), CPU_TORCH)
    assert finding.status == "problem"
    assert "1.7.0" in finding.says


def test_a_gpu_comes_with_the_word_that_it_is_untested():
    finding = gpu_finding(TorchBuild(version="2.13.0", cuda="13.0", gpu="L4"))
    assert finding.status == "note"
    assert "untested" in finding.says


@pytest.fixture
def probes(monkeypatch):
    """Answers the doctor's probes: torch as given, then fbgemm as given."""

    def answer(torch, fbgemm, cpu="1.8.0", cuda=None):
        monkeypatch.setattr(torch_variant, "run_probe", lambda code: fbgemm if "fbgemm" in code else torch)
        monkeypatch.setattr(torch_variant.installed, "version_of", variants(cpu, cuda).get)
        return torch_variant.check_torch()

    return answer


TORCH_WORKS = Probe(True, json.dumps({"version": "2.13.0+cpu", "cuda": None, "gpu": None}))


def test_operators_that_do_not_load_are_a_problem_though_the_metadata_look_fine(probes):
    findings = probes(TORCH_WORKS, Probe(False, "OSError: libcudart.so.13: cannot open shared object file"))
    assert [f.status for f in findings] == ["ok", "ok", "problem"]
    assert "libcudart.so.13" in findings[-1].says


def test_a_torch_that_cannot_be_imported_is_the_only_finding(probes):
    findings = probes(Probe(False, "ModuleNotFoundError: No module named 'torch'"), Probe(True, ""))
    assert [(f.check, f.status) for f in findings] == [("torch", "problem")]
