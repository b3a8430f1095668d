"""Tells the C allocator to keep large blocks: training frees and takes again the same tens of megabytes at each step.

By default glibc gives such blocks back to the system, which hands them out zeroed page by page: on a CPU that costs
several times the arithmetic. It knows nothing of what is computed.
"""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
_LARGEST = 2**31 - 1


def give_back() -> bool:
    """Gives what is free at this moment back to the system, once: what starting up needed is needed no more.

    Returns:
        Whether the allocator could be told: with glibc it can.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform.startswith("linux") else None
    return trim is not None and bool(trim(0))


def keep_large_blocks() -> bool:
    """From now on this process keeps freed memory for its own next use. Memory in use does not grow by it.

    Returns:
        Whether the allocator could be told: with glibc it can.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        tell = ctypes.CDLL(None).mallopt
    except AttributeError:  # another libc
        return False
    return bool(tell(_MMAP_THRESHOLD, 2**30) and tell(_TRIM_THRESHOLD, _LARGEST))
