import json

import pytest
import torch

from recsys.data.schema import WorkspaceSchema
from recsys.errors import SnapshotError
from recsys.registry.local import keep_snapshot
from recsys.registry.manifest import FILES, MANIFEST
from recsys.registry.snapshot import load_snapshot


def test_what_was_written_is_read_back(tmp_path, make_snapshot):
    weights = torch.randn(5, 4)
    tensors = {
        "plain": weights,
        "transposed": weights.T,
        "slice": weights[1:3],
        "half": weights.to(torch.bfloat16),
        "index": torch.tensor([3, 1, 2]),
        "empty": torch.zeros(0, 4),
    }
    config = {"layers": (1, 2), "rate": 0.1, "name": "Ü"}
    make_snapshot(tmp_path / "s", tensors=tensors, config=config)
    read = load_snapshot(tmp_path / "s")
    assert read.tensors.keys() == tensors.keys()
    assert all(torch.equal(read.tensors[name], tensor) for name, tensor in tensors.items())
    assert read.config == {"layers": [1, 2], "rate": 0.1, "name": "Ü"}
    assert read.vocabulary == ("0", "20", "Amélie")
    assert read.schema == WorkspaceSchema(name="tiny", item_columns={"name": "text"}, title="name")
    assert read.metrics == {"validation": {"ndcg@10": 0.25}}


def test_a_snapshot_folder_holds_only_safetensors_json_toml_and_markdown(snapshot):
    assert {entry.name for entry in snapshot.folder.iterdir()} == {*FILES, MANIFEST}
    assert {entry.suffix for entry in snapshot.folder.iterdir()} == {".safetensors", ".json", ".toml", ".md"}


def test_equal_models_have_equal_bytes_and_hashes(tmp_path, make_snapshot):
    one = make_snapshot(tmp_path / "one", tensors={"a": torch.ones(2, 2), "b": torch.zeros(3)}, config={"x": 1, "y": 2})
    two = make_snapshot(tmp_path / "two", tensors={"b": torch.zeros(3), "a": torch.ones(2, 2)}, config={"y": 2, "x": 1})
    assert one.snapshot_hash == two.snapshot_hash
    for name in (*FILES, MANIFEST):
        assert (one.folder / name).read_bytes() == (two.folder / name).read_bytes()


@pytest.mark.parametrize("record", [{"lineage": {"at": "now"}}, {"metrics": {"seconds": 7}}, {"card": "# Other\n"}])
def test_records_change_the_snapshot_hash_and_not_the_content_hash(tmp_path, make_snapshot, snapshot, record):
    other = make_snapshot(tmp_path / "other", **record)
    assert other.content_hash == snapshot.content_hash
    assert other.snapshot_hash != snapshot.snapshot_hash


@pytest.mark.parametrize(
    "part",
    [
        {"tensors": {"items": torch.zeros(3, 4), "bias": torch.zeros(3)}},
        {"config": {"seed": 1}},
        {"vocabulary": ["20", "0", "Amélie"]},
        {"schema": WorkspaceSchema(name="tiny", repeats=True)},
        {"profile": {"width": 1}},
        {"calibration": {"kind": "platt"}},
    ],
    ids=lambda part: next(iter(part)),
)
def test_every_part_that_defines_the_model_changes_the_content_hash(tmp_path, make_snapshot, snapshot, part):
    assert make_snapshot(tmp_path / "other", **part).content_hash != snapshot.content_hash


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"tensors": {"items": torch.tensor([1.0, float("nan")])}}, "'items' holds NaN"),
        ({"tensors": {"items": torch.tensor([float("inf")])}}, "'items' holds NaN or infinity"),
        ({"metrics": {"ndcg@10": float("nan")}}, r"metrics.json cannot be written: \$.ndcg@10 is nan"),
        ({"profile": {"mean": torch.ones(1)}}, r"profile.json cannot be written: \$.mean is a Tensor"),
        ({"vocabulary": ["7", "7"]}, "different item ids"),
        ({"vocabulary": ["7", 8]}, "all strings"),
    ],
)
def test_what_cannot_be_scored_with_is_not_written(tmp_path, make_snapshot, part, message):
    with pytest.raises(SnapshotError, match=message):
        make_snapshot(tmp_path / "folder" / "s", **part)
    assert not (tmp_path / "folder").exists()


def test_a_snapshot_is_never_overwritten(snapshot, make_snapshot):
    with pytest.raises(SnapshotError, match="never overwritten"):
        make_snapshot(snapshot.folder, seed=5)
    assert load_snapshot(snapshot.folder).snapshot_hash == snapshot.snapshot_hash


def test_a_write_that_fails_half_way_leaves_nothing(tmp_path, make_snapshot, monkeypatch):
    def broken(self: WorkspaceSchema, path: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(WorkspaceSchema, "save", broken)
    with pytest.raises(OSError, match="disk full"):
        make_snapshot(tmp_path / "parent" / "s")
    assert list((tmp_path / "parent").iterdir()) == []


def test_a_kept_copy_is_filed_under_its_hashes_and_kept_once(tmp_path, snapshot):
    kept = keep_snapshot(snapshot.folder, tmp_path / "kept")
    assert kept.name == f"{snapshot.content_hash[:16]}-{snapshot.snapshot_hash[:8]}"
    before = (kept / MANIFEST).stat().st_mtime_ns
    assert keep_snapshot(snapshot.folder, tmp_path / "kept") == kept == keep_snapshot(kept, tmp_path / "kept")
    assert (kept / MANIFEST).stat().st_mtime_ns == before
    assert load_snapshot(kept).snapshot_hash == snapshot.snapshot_hash


def test_a_damaged_kept_copy_is_renewed_from_a_whole_source(tmp_path, snapshot):
    kept = keep_snapshot(snapshot.folder, tmp_path / "kept")
    (kept / "config.json").write_text(json.dumps({"seed": 99}))
    keep_snapshot(snapshot.folder, tmp_path / "kept")
    assert load_snapshot(kept).config["seed"] == 0
