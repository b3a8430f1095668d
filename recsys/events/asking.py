"""Ids as the one JSON parameter of a query, whatever their number."""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from recsys.data.ids import NUL


def asked(ids: Iterable[str]) -> str:
    """A parameter for `json_each`.

    Ids with a NUL are left out: sqlite would cut them there and find somebody else. The log takes none.
    """
    return orjson.dumps([one for one in ids if NUL not in one]).decode()
