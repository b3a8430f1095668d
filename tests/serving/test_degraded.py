"""Every reason for a lesser answer has a sentence, and a line in the documentation."""

import re
from pathlib import Path
from typing import get_args

import pytest

from recsys.context import reasons
from recsys.serving.messages.degraded import SENTENCES, ModelReason, described

DOCUMENT = Path(__file__).parents[2] / "docs" / "your-data.md"


def test_the_documentation_names_every_reason_with_its_fallback_and_no_other():
    section = DOCUMENT.read_text().split("## When an answer is less than it could be")[1].split("\n## ")[0]
    lines = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \|$", section, re.MULTILINE)
    assert [reason for reason, _, _ in lines] == [*get_args(reasons.Reason), *get_args(ModelReason)]


def test_every_reason_that_a_row_can_have_has_a_name_and_a_sentence():
    named = {value for name, value in vars(reasons).items() if name.isupper()}
    assert named == set(get_args(reasons.Reason))
    assert set(SENTENCES) == named | set(get_args(ModelReason))


@pytest.mark.parametrize("reason", list(SENTENCES))
def test_a_reply_says_the_reason_and_the_same_in_a_sentence(reason):
    told = described(reason)
    assert (told.reason, told.detail) == (reason, SENTENCES[reason])
    assert described(None) is None
