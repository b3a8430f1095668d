"""A process and all below it: seen together, and ended together."""

from __future__ import annotations

import subprocess

import psutil


def family(pid: int) -> list[psutil.Process]:
    """The process and every one below it; none once it has ended."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return []


def kill_family(started: subprocess.Popen[bytes]) -> None:
    """Kills a process that this one started, and everything below it at once, as a power cut would."""
    for process in family(started.pid):
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    started.wait()
