"""Pages whose tables are made of committed results, between words that are written by hand.

A table stands between `<!-- table: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.units.files import write_text

TABLE = re.compile(r"(<!-- table: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)

Tables = Mapping[str, Callable[[], list[str]]]
"""Lines of each table, by its name."""


def refreshed(page: str, tables: Tables) -> str:
    """The page with every table as the results say.

    Raises:
        KeyError: the page asks for a table that there is not.
    """
    return TABLE.sub(lambda found: f"{found[1]}{chr(10).join(tables[found['name']]())}\n{found[3]}", page)


def refresh(path: Path, tables: Tables, arguments: Sequence[str]) -> int:
    """Refreshes a page, or with `--check` only says by its exit code whether a table is not what the results say."""
    before = path.read_text()
    after = refreshed(before, tables)
    if arguments and arguments[0] == "--check":
        return int(before != after)
    write_text(path, after)
    return 0
