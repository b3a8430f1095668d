"""Feast is imported without typeguard's rewriting of its classes, and the process is as it was afterwards."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

_LOOK = """
import typeguard
before = typeguard.typechecked
{imported}
import feast
print("typeguard" in feast.FeatureView.__init__.__code__.co_names, typeguard.typechecked is before)
"""


def test_the_warnings_that_are_shown_stay_those_that_were():
    code = (
        "import warnings, recsys.context.reader; from recsys.context.feast_import import import_feast\n"
        "before = list(warnings.filters); import_feast(); print(warnings.filters == before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "True", done.stderr


@pytest.mark.parametrize(
    ("imported", "found"),
    [
        ("", "True True"),
        ("from recsys.context.feast_import import import_feast; import_feast(); import_feast()", "False True"),
    ],
)
def test_feasts_classes_are_as_they_were_written(imported, found):
    code = _LOOK.format(imported=imported)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == found, done.stderr
