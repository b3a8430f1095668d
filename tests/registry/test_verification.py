"""Whatever happens to a snapshot's files, it is refused and the file is named."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from recsys.errors import SnapshotError
from recsys.registry.manifest import FILES, MANIFEST, WEIGHTS, Manifest
from recsys.registry.snapshot import load_snapshot
from recsys.registry.weights import HeldWeights

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


def _rewritten(snapshot, change):
    """The manifest with a change to its text; the files stay as they are."""
    path = snapshot.folder / MANIFEST
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b'"config.json"', b'"../config.json"'),
        lambda text: text.replace(b'"config.json"', b'"/etc/hostname"'),
        lambda text: text.replace(b'"format":1', b'"format":1,"format":1'),
        lambda text: text.replace(b'{"MODEL_CARD.md"', b'{"MODEL_CARD.md":{"bytes":1,"sha256":""},"MODEL_CARD.md"'),
        lambda text: text.replace(b'"bytes":', b'"bytes":1e999,"was":', 1),
        lambda text: text.replace(b'"bytes":', b'"bytes":' + b"9" * 5_000 + b',"was":', 1),
        lambda text: text + b" " * 100_000,
        lambda text: b"[" * 100_000,
        lambda text: b"[]",
        lambda text: b"\xff\xfe",
    ],
    ids=["up", "absolute", "twice", "entry twice", "infinite", "endless", "padded", "deep", "list", "no text"],
)
def test_a_manifest_of_any_other_form_is_refused(snapshot, change):
    _rewritten(snapshot, change)
    with pytest.raises(SnapshotError, match=r"manifest\.json is damaged"):
        load_snapshot(snapshot.folder)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("weights.safetensors", b"\xff" * 8 + b"{}"),
        ("weights.safetensors", (2**40).to_bytes(8, "little") + b"{}"),
        ("weights.safetensors", b"\x80\x04K\x01."),
        ("config.json", b'{"a":1,"a":2}'),
        ("config.json", b'{"a":NaN}'),
        ("config.json", b"[" * 100_000),
        ("config.json", b"[]"),
        ("vocabulary.json", b'["1","1"]'),
        ("vocabulary.json", b"[1]"),
        ("vocabulary.json", b"{}"),
        ("schema.toml", b"name = "),
        ("schema.toml", b"\xff"),
        ("lineage.json", b""),
    ],
)
def test_a_file_that_recsys_would_not_write_is_named_though_the_manifest_vouches_for_it(snapshot, name, content):
    (snapshot.folder / name).write_bytes(content)
    (snapshot.folder / MANIFEST).write_bytes(Manifest.of(snapshot.folder).to_bytes())
    with pytest.raises(SnapshotError, match=re.escape(name)):
        load_snapshot(snapshot.folder)


def test_the_weights_that_are_mapped_are_those_that_were_hashed(tmp_path, snapshot, make_snapshot):
    other = make_snapshot(tmp_path / "other", seed=1)
    path = snapshot.folder / WEIGHTS
    with HeldWeights(path) as weights:
        assert weights.sha256() == Manifest.of(snapshot.folder).files[WEIGHTS]
        (other.folder / WEIGHTS).replace(path)
        assert torch.equal(weights.tensors()["items"], snapshot.tensors["items"])


def test_tensors_are_mapped_and_not_read(snapshot):
    held = load_snapshot(snapshot.folder)
    mapped = [line for line in Path("/proc/self/maps").read_text().splitlines() if str(snapshot.folder) in line]
    assert mapped
    assert held.tensors


def _change_bytes(rng, folder, name):
    path = folder / name
    content = bytearray(path.read_bytes())
    place, some = int(rng.integers(len(content))), rng.bytes(int(rng.integers(1, 17)))
    kind = rng.choice(["flip", "cut", "insert", "overwrite", "truncate"])
    if kind == "flip":
        content[place] ^= 1 << int(rng.integers(8))
    elif kind == "cut":
        del content[place : place + len(some)]
    elif kind == "insert":
        content[place:place] = some
    elif kind == "overwrite":
        content[place : place + len(some)] = bytes((some[0] ^ byte) or 1 for byte in some)
    else:
        del content[place:]
    if bytes(content) == path.read_bytes():
        content.append(0)
    path.write_bytes(content)


def _delete(rng, folder, name):
    (folder / name).unlink()


def _link_out(rng, folder, name):
    (folder / name).rename(folder.parent / "outside")
    (folder / name).symlink_to(folder.parent / "outside")


def _make_a_folder(rng, folder, name):
    (folder / name).unlink()
    (folder / name).mkdir()


def _replace_by_another_file(rng, folder, name):
    others = [own for own in ALL if (folder / own).read_bytes() != (folder / name).read_bytes()]
    (folder / name).write_bytes((folder / rng.choice(others)).read_bytes())


def _add_a_stranger(rng, folder, name):
    (folder / f"{name}.{rng.integers(1_000)}").write_bytes(rng.bytes(4))


MUTATIONS = (_change_bytes,) * 5 + (_delete, _link_out, _make_a_folder, _replace_by_another_file, _add_a_stranger)


@pytest.mark.slow
def test_five_hundred_random_mutations_are_all_refused_by_name(tmp_path, snapshot):
    rng = np.random.default_rng(5)
    for number in range(500):
        folder = tmp_path / str(number) / "snapshot"
        shutil.copytree(snapshot.folder, folder)
        name = str(rng.choice(ALL))
        mutation = MUTATIONS[rng.integers(len(MUTATIONS))]
        mutation(rng, folder, name)
        with pytest.raises(SnapshotError, match=re.escape(name)):
            load_snapshot(folder)
        shutil.rmtree(folder.parent)
