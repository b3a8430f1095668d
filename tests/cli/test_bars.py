"""Where nobody watches, progress is one line a stage when the stage is over."""

import io

import pytest
from rich.console import Console

from recsys.cli.bars import Bars


def console(*, terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=120)


def test_without_a_terminal_each_stage_is_one_line_with_its_last_note():
    out = console(terminal=False)
    with Bars(out) as bars:
        body = bars.stage("body", 3)
        body.advance("loss 2.0")
        body.advance("loss 1.0")
        bars.stage("memory", 1).advance()
    assert out.file.getvalue() == "  body: 2/3  loss 1.0\n  memory: 1/1\n"


def test_a_stage_that_an_error_cut_short_is_told_as_far_as_it_came():
    out = console(terminal=False)

    def breaks() -> None:
        with Bars(out) as bars:
            bars.stage("body", 3).advance("loss nan")
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        breaks()
    assert out.file.getvalue() == "  body: 1/3  loss nan\n"


def test_on_a_terminal_bars_are_drawn_and_no_line_is_printed_twice():
    out = console(terminal=True)
    with Bars(out) as bars:
        bars.stage("body", 2).advance("loss 2.0")
        bars.stage("memory", 1).advance("ridge [200]")
    drawn = out.file.getvalue()
    assert "body" in drawn
    assert "loss 2.0" in drawn
    assert "  body: 1/2" not in drawn


def test_a_note_with_brackets_is_text_and_no_style():
    out = console(terminal=False)
    with Bars(out) as bars:
        bars.stage("fit [all]", 1).advance("ridge [/bold]")
    assert out.file.getvalue() == "  fit [all]: 1/1  ridge [/bold]\n"
