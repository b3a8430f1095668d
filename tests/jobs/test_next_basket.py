"""In a workspace with baskets, training and evaluation go by the next basket from end to end."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from recsys.cli import evaluate as command
from recsys.data.canonical import with_event_ids
from recsys.data.imported import ImportedData
from recsys.data.schema import WorkspaceSchema
from recsys.evaluation.next_basket import next_basket
from recsys.jobs.evaluate import evaluate, report_paths
from recsys.training.dataset import Dataset
from recsys.workspace import HOME_VARIABLE, Workspace

pytestmark = pytest.mark.slow

HOUSEHOLDS, WEEKS, PRODUCTS = 30, 16, 25
WEEK = 7 * 86_400_000_000


def groceries() -> ImportedData:
    """Every household fills a weekly basket with three of five products of its own, and now and then another one."""
    rng = np.random.default_rng(5)
    rows = []
    for household in range(HOUSEHOLDS):
        usual = (household * 5 + np.arange(5)) % PRODUCTS
        for week in range(WEEKS):
            basket = {*rng.choice(usual, 3, replace=False).tolist(), int(rng.integers(PRODUCTS))}
            at = 1_600_000_000_000_000 + week * WEEK + household * 60_000_000
            rows += [(f"h{household:02d}", f"p{product:02d}", at) for product in sorted(basket)]
    types = {"user_id": pl.String, "item_id": pl.String, "occurred_at": pl.Int64}
    events = pl.DataFrame(rows, schema=types, orient="row").with_columns(
        event=pl.lit(None, pl.String), value=pl.lit(1.0, pl.Float32)
    )
    schema = WorkspaceSchema("x", repeats=True, baskets=True)
    return ImportedData(
        source="by hand",
        events=with_event_ids(events),
        users=pl.DataFrame(schema=schema.users_frame_schema()),
        items=pl.DataFrame(schema=schema.items_frame_schema()),
        schema=schema,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory, quick_config, random_body_fit):
    """A workspace of baskets with one version; its result, and the sequences that the body was handed."""
    from recsys.jobs.ingest import ingest
    from recsys.jobs.train import train

    workspace, handed = Workspace("groceries", tmp_path_factory.mktemp("home")), []

    def fit(sequences, *arguments, **named):
        handed.append(sequences)
        return random_body_fit(sequences, *arguments, **named)

    ingest(workspace, groceries())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recsys.training.stages.fit_body_expert", fit)
        result = train(workspace, quick_config())
    return workspace, result, handed


@pytest.fixture(scope="module")
def report(trained):
    return evaluate(trained[0])


def test_nothing_from_the_validation_basket_on_is_handed_to_training(trained):
    workspace, _, [handed] = trained
    moments = next_basket(Dataset.load(workspace).interactions, "validation")
    last = dict(zip(moments.user_ids, moments.moments, strict=True))
    assert len(handed.items) > 0
    for user, end in zip(handed.user_ids, handed.offsets[1:], strict=True):
        assert handed.times[end - 1] < last[user]


def test_validation_gives_what_training_measured(trained, report):
    figures = trained[1].metrics
    assert (report.protocol, report.users, report.items) == ("next basket", HOUSEHOLDS, PRODUCTS)
    for scorer, name in (("model", "validation"), ("shared blend", "validation_shared_blend")):
        own = figures[name]
        assert {"recall@10", "ndcg@10", "hr@10", "mrr"} <= own.keys()
        assert {metric: report.metrics[scorer][metric] for metric in own} == pytest.approx(own)
    assert 0 < report.metrics["model"]["recall@5"] < report.metrics["model"]["hr@5"] <= 1


def test_baselines_are_those_of_baskets_with_the_figures_that_chose_them(report):
    assert report.scorers()[:3] == ["popularity", "personal frequency", "TIFU-kNN"]
    for name, tried in (("personal frequency", "half-lives"), ("TIFU-kNN", "settings")):
        best = max(report.tuned[f"{name}'s {tried} tried (NDCG@10)"].values())
        assert report.metrics[name]["ndcg@10"] == pytest.approx(best)
        assert best > report.metrics["popularity"]["ndcg@10"]


def test_another_split_has_other_targets_under_the_same_protocol(trained, report):
    test = evaluate(trained[0], split="test")
    assert (test.protocol, test.test_looks_before) == ("next basket", 0)
    assert test.metrics["personal frequency"] != report.metrics["personal frequency"]
    assert test.tuned == report.tuned, "nothing is tuned on test"


def test_page_and_card_name_the_protocol(trained, report):
    page = report_paths(trained[0], report)[1].read_text()
    for told in (
        "Next basket: the target is the set of items",
        "recall@10",
        "P(item is in the next basket), each of the top-10",
        "P(any of the top-10 is in the next basket)",
        "mean over the items of the basket",
        "recall@10, model −",
        "seen items may come again",
    ):
        assert told in page, told
    assert "Validation (next basket, full ranking)" in (Path(trained[1].snapshot) / "MODEL_CARD.md").read_text()


def test_the_command_shows_recall_first(trained, monkeypatch):
    monkeypatch.setenv(HOME_VARIABLE, str(trained[0].home))
    app = typer.Typer()
    command.register(app)
    outcome = CliRunner().invoke(app, ["--workspace", "groceries", "--json"])
    assert outcome.exit_code == 0, outcome.output
    assert outcome.stderr.index("recall@10") < outcome.stderr.index("ndcg@10")
    assert "P(item is in the next basket): ECE" in outcome.stderr
    last = json.loads(outcome.stdout.splitlines()[-1])
    assert last["protocol"] == "next basket"
    assert {"ndcg@10", "hr@10", "recall@10"} <= last["metrics"]["validation"].keys()
