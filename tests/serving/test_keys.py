"""API keys: shown once, kept hashed, nobody else's to read; a running service follows every change."""

import hashlib
import os
import resource
import stat
from contextlib import contextmanager

import pytest

from recsys.durable import replace_file
from recsys.errors import ConfigError
from recsys.serving.edge.key_ring import KeyRing
from recsys.serving.edge.keys import KeyStore
from recsys.serving.edge.scopes import Scope


@pytest.fixture
def store(tmp_path):
    return KeyStore(tmp_path / "keys.json")


@pytest.fixture
def ring(tmp_path):
    return KeyRing(tmp_path / "keys.json")


def test_the_file_holds_a_hash_of_the_key_and_only_its_owner_may_read_it(store, tmp_path):
    token = store.create("shop", [Scope.READ])
    file = tmp_path / "keys.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert token not in file.read_text()
    assert token.rsplit("_", 1)[1] not in file.read_text()
    assert hashlib.sha256(token.encode()).hexdigest() in file.read_text()


def test_two_keys_have_nothing_in_common(store):
    one, other = store.create("one", [Scope.READ]), store.create("other", [Scope.READ])
    assert len({*one.split("_", 2)[1:], *other.split("_", 2)[1:]}) == 4
    assert len(one.split("_", 2)[2]) == 43


def test_a_ring_knows_keys_that_are_made_later_and_forgets_revoked_ones_at_once(store, ring):
    token = store.create("shop", [Scope.READ])
    assert ring.holder(token).name == "shop"
    other = store.create("other", [Scope.WRITE])
    assert ring.holder(other).name == "other"
    store.revoke("shop")
    assert ring.holder(token) is None
    assert ring.holder(other).name == "other"


@pytest.mark.parametrize(
    "change", [lambda t: t[:-1], lambda t: f"{t}x", lambda t: t.upper(), lambda t: "", lambda t: f"é{t}"]
)
def test_almost_a_key_is_none(store, ring, change):
    token = store.create("shop", [Scope.READ])
    assert ring.holder(change(token)) is None


def test_the_id_of_one_key_with_the_secret_of_another_is_none(store, ring):
    one, other = store.create("one", [Scope.READ]), store.create("other", [Scope.ADMIN])
    assert ring.holder(f"rsk_{other.split('_')[1]}_{one.split('_', 2)[2]}") is None


@pytest.mark.parametrize("harm", [lambda file: file.write_text("{"), lambda file: file.chmod(0o644), os.unlink])
def test_nobody_gets_in_while_the_file_cannot_be_trusted(store, ring, tmp_path, harm):
    token = store.create("shop", [Scope.READ])
    assert ring.holder(token) is not None
    harm(tmp_path / "keys.json")
    assert ring.holder(token) is None


def test_a_file_that_others_may_read_is_told_with_what_to_do(store, tmp_path):
    store.create("shop", [Scope.READ])
    (tmp_path / "keys.json").chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        store.listed()


def test_admin_contains_the_others_which_do_not_contain_each_other(store):
    for name in Scope:
        store.create(name, [name])
    allowed = {key.name: {scope for scope in Scope if key.allows(scope)} for key in store.listed()}
    assert allowed == {"read": {Scope.READ}, "write": {Scope.WRITE}, "admin": set(Scope)}


@pytest.mark.parametrize("name", ["", "a b", "a\nb", "-a", "x" * 65, "é"])
def test_names_that_could_harm_a_log_are_refused(store, name):
    with pytest.raises(ConfigError, match="cannot name a key"):
        store.create(name, [Scope.READ])


@pytest.mark.parametrize("rate", ["", "100", "0/s", "-1/s", "1.5/s", "10/week", "10/s;5/s"])
def test_what_is_no_rate_is_refused(store, rate):
    with pytest.raises(ConfigError, match="is no rate"):
        store.create("shop", [Scope.READ], rate)


def test_a_name_is_used_once_and_an_unknown_one_cannot_be_revoked(store):
    store.create("shop", [Scope.READ])
    with pytest.raises(ConfigError, match="already"):
        store.create("shop", [Scope.READ])
    with pytest.raises(ConfigError, match="there: shop"):
        store.revoke("till")


def test_a_rate_that_is_none_lets_nobody_in_instead_of_failing(tmp_path):
    path = tmp_path / "keys.json"
    token = KeyStore(path).create("shop", [Scope.READ], "5/s")
    assert KeyRing(path).holder(token) is not None
    replace_file(path, path.read_bytes().replace(b"5/s", b"fast"), mode=0o600)
    assert KeyRing(path).holder(token) is None


@contextmanager
def no_more_files():
    """This process cannot open any file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_while_no_file_can_be_opened_the_keys_of_before_stay_in_use_and_a_change_is_found_later(store, tmp_path):
    now = [0.0]
    ring = KeyRing(tmp_path / "keys.json", pause=1.0, clock=lambda: now[0])
    token = store.create("shop", [Scope.READ])
    assert ring.holder(token) is not None
    other = store.create("other", [Scope.READ])
    with no_more_files():
        assert ring.holder(token) is not None
        assert ring.holder(other) is None
    assert ring.holder(other) is None, "it is tried again after a pause"
    now[0] = 1.0
    assert ring.holder(other) is not None
    store.revoke("shop")
    assert ring.holder(token) is None


def test_the_first_look_is_tried_again_as_well(store, tmp_path):
    now = [0.0]
    ring = KeyRing(tmp_path / "keys.json", clock=lambda: now[0])
    token = store.create("shop", [Scope.READ])
    with no_more_files():
        assert ring.holder(token) is None
    now[0] = 10.0
    assert ring.holder(token) is not None
