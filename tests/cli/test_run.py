"""What every command shares: text of people's data is shown as it is, every error ends in a sentence and a code."""

import json
import sqlite3

import pytest
import typer

from recsys.cli._run import reported
from recsys.errors import DataError

ODD = r"[/] [bold]x[/bold] \[y] :smile: \\"


def test_text_of_peoples_data_is_shown_as_it_is(capsys):
    with reported(as_json=False) as report:
        report.show(f"Nothing is known of '{ODD}'.")
    assert ODD in capsys.readouterr().out


def test_an_error_about_odd_text_shows_it_as_it_is(capsys):
    with pytest.raises(typer.Exit), reported(as_json=True):
        raise DataError(f"No '{ODD}'.")
    shown = capsys.readouterr()
    assert ODD in shown.err
    assert json.loads(shown.out)["message"] == f"No '{ODD}'."


@pytest.mark.parametrize(
    "error",
    [PermissionError(13, "Permission denied", "/data/x"), sqlite3.OperationalError("attempt to write /data/x")],
)
def test_what_the_system_refuses_is_a_failure_and_not_our_defect(capsys, error):
    with pytest.raises(typer.Exit) as ended, reported(as_json=True):
        raise error
    told = json.loads(capsys.readouterr().out)
    assert ended.value.exit_code == told["exit_code"] == 1
    assert "/data/x" in told["message"]
    assert "should not" not in told["message"]
