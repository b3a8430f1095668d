"""What the allocator is told, and that it can be told anywhere."""

from __future__ import annotations

import ctypes
import sys

import pytest

from recsys.allocator import keep_large_blocks


class Libc:
    def __init__(self):
        self.told = {}

    def mallopt(self, parameter, value):
        self.told[parameter] = value
        return 1


def test_large_blocks_are_kept_and_never_trimmed(monkeypatch):
    libc = Libc()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: libc)
    assert keep_large_blocks()
    assert libc.told[-3] >= 2**30
    assert libc.told[-1] >= 2**30


@pytest.mark.parametrize(("platform", "libc"), [("darwin", Libc()), ("linux", object())])
def test_where_it_cannot_be_told_nothing_happens(platform, libc, monkeypatch):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: libc)
    assert not keep_large_blocks()
