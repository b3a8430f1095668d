"""Whatever happens to a snapshot's files, it is refused and the file is named."""

import json
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from recsys.errors import SnapshotError
from recsys.registry.manifest import FILES, MANIFEST
from recsys.registry.snapshot import load_snapshot

ALL = (*FILES, MANIFEST)


def _flip(content: bytes, position: int, bit: int) -> bytes:
    return content[:position] + bytes([content[position] ^ (1 << bit)]) + content[position + 1 :]


@pytest.mark.parametrize("name", ALL)
def test_a_missing_file_is_named(snapshot, name):
    (snapshot.folder / name).unlink()
    with pytest.raises(SnapshotError, match=re.escape(name)):
        load_snapshot(snapshot.folder)


@pytest.mark.parametrize("name", ALL)
def test_a_truncated_file_is_named(snapshot, name):
    path = snapshot.folder / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SnapshotError, match=re.escape(name)):
        load_snapshot(snapshot.folder)


@pytest.mark.parametrize("name", ALL)
def test_a_flipped_bit_is_named(snapshot, name):
    path = snapshot.folder / name
    content = path.read_bytes()
    path.write_bytes(_flip(content, len(content) // 2, 0))
    with pytest.raises(SnapshotError, match=re.escape(name)):
        load_snapshot(snapshot.folder)


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_snapshot_is_named(tmp_path, snapshot, make_snapshot, name):
    other = make_snapshot(tmp_path / "other", seed=1, schema=type(snapshot.schema)(name="tiny", repeats=True))
    assert (other.folder / name).read_bytes() != (snapshot.folder / name).read_bytes()
    shutil.copy(other.folder / name, snapshot.folder / name)
    with pytest.raises(SnapshotError, match=re.escape(name)):
        load_snapshot(snapshot.folder)


def test_files_swapped_with_each_other_are_both_named(snapshot):
    one, two = snapshot.folder / "profile.json", snapshot.folder / "lineage.json"
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    with pytest.raises(SnapshotError, match=r"profile\.json.*lineage\.json"):
        load_snapshot(snapshot.folder)


def test_the_manifest_of_another_snapshot_does_not_fit(tmp_path, snapshot, make_snapshot):
    other = make_snapshot(tmp_path / "other", seed=1)
    shutil.copy(other.folder / MANIFEST, snapshot.folder / MANIFEST)
    with pytest.raises(SnapshotError, match=r"weights\.safetensors has changed"):
        load_snapshot(snapshot.folder)


def test_a_whole_other_snapshot_is_not_what_the_registry_vouches_for(tmp_path, snapshot, make_snapshot):
    other = make_snapshot(tmp_path / "other", seed=1)
    with pytest.raises(SnapshotError, match=f"content hash {other.content_hash}, the registry says"):
        load_snapshot(other.folder, content_hash=snapshot.content_hash)
    relabelled = make_snapshot(tmp_path / "relabelled", lineage={"run": "somebody else's"})
    with pytest.raises(SnapshotError, match="snapshot hash"):
        load_snapshot(relabelled.folder, content_hash=snapshot.content_hash, snapshot_hash=snapshot.snapshot_hash)


@pytest.mark.parametrize("name", ["model.pkl", ".hidden", "weights.safetensors.bak"])
def test_a_file_that_does_not_belong_is_named(snapshot, name):
    (snapshot.folder / name).write_bytes(b"x")
    with pytest.raises(SnapshotError, match=re.escape(f"{name} does not belong")):
        load_snapshot(snapshot.folder)


def test_a_link_in_place_of_a_file_is_refused(tmp_path, snapshot):
    path = snapshot.folder / "weights.safetensors"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SnapshotError, match=r"weights\.safetensors is not a plain file"):
        load_snapshot(snapshot.folder)


def test_all_that_is_wrong_is_told_at_once(snapshot):
    (snapshot.folder / "config.json").unlink()
    (snapshot.folder / "vocabulary.json").write_text("[]\n")
    (snapshot.folder / "extra").mkdir()
    with pytest.raises(SnapshotError, match=r"config\.json is missing.*vocabulary\.json has.*extra does not belong"):
        load_snapshot(snapshot.folder)


def test_no_folder_at_all(tmp_path):
    with pytest.raises(SnapshotError, match="There is no snapshot at"):
        load_snapshot(tmp_path / "nowhere")


def test_a_newer_format_says_so(snapshot):
    path = snapshot.folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2}))
    with pytest.raises(SnapshotError, match="has format 2, this recsys reads format 1"):
        load_snapshot(snapshot.folder)


def test_a_manifest_that_lists_fewer_files_is_damaged(snapshot):
    path = snapshot.folder / MANIFEST
    manifest = json.loads(path.read_text())
    del manifest["files"]["calibration.json"]
    path.write_text(json.dumps(manifest, sort_keys=True, separators=(",", ":")) + "\n")
    (snapshot.folder / "calibration.json").unlink()
    with pytest.raises(SnapshotError, match=r"manifest\.json is damaged"):
        load_snapshot(snapshot.folder)


@st.composite
def mutations(draw: st.DrawFn, content: bytes) -> bytes | None:
    """The content with a bit flipped, a stretch cut out, bytes put in or over, or (None) deleted."""
    position = draw(st.integers(0, len(content) - 1))
    kind = draw(st.sampled_from(["flip", "cut", "insert", "overwrite", "truncate", "delete"]))
    some = draw(st.binary(min_size=1, max_size=16))
    return {
        "flip": _flip(content, position, draw(st.integers(0, 7))),
        "cut": content[:position] + content[position + len(some) :],
        "insert": content[:position] + some + content[position:],
        "overwrite": (content[:position] + some + content[position + len(some) :])[: len(content)],
        "truncate": content[:position],
        "delete": None,
    }[kind]


@pytest.mark.slow
@given(st.data())
@settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_five_hundred_random_mutations_are_all_refused_by_name(snapshot, data):
    name = data.draw(st.sampled_from(ALL))
    path: Path = snapshot.folder / name
    content = path.read_bytes()
    mutated = data.draw(mutations(content))
    assume(mutated != content)
    try:
        path.unlink() if mutated is None else path.write_bytes(mutated)
        with pytest.raises(SnapshotError, match=re.escape(name)):
            load_snapshot(snapshot.folder)
    finally:
        path.write_bytes(content)
    load_snapshot(snapshot.folder)
