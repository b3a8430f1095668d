"""Whichever engine refuses a late writer's rows says so with the same words, and both tokens in them."""

import sqlite3

import pytest
from redis.exceptions import ResponseError

from recsys.context import fence, redis_scripts
from recsys.context.fencing import FencedOffError, fenced_off, writer_token


class RefusingRedis:
    """Answers every script as a server does that has seen the token 7."""

    reply = "FENCED by token 7"

    def register_script(self, script):
        return lambda **call: None

    def pipeline(self, transaction):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def execute(self):
        raise ResponseError(f"{self.reply} script: 5ba93c, on @user_script:3.")


def refused_by_sqlite():
    connection = sqlite3.connect(":memory:", isolation_level=None)
    fence.put_up(connection)
    with fence.fenced(connection, 7):
        pass
    with fence.fenced(connection, 6):
        raise AssertionError("the late writer was let in")


def refused_by_redis():
    with writer_token(6):
        redis_scripts.run(RefusingRedis(), "shop", redis_scripts.RAISE, [("key", [])])


@pytest.mark.parametrize("late_write", [refused_by_sqlite, refused_by_redis])
def test_a_late_writer_is_refused_with_the_same_words_on_every_engine(late_write):
    with pytest.raises(FencedOffError) as refused:
        late_write()
    assert str(refused.value) == str(fenced_off(6, 7))
    assert "(7) than this one (6)" in str(refused.value)


def test_another_error_of_the_server_is_not_taken_for_a_refusal(monkeypatch):
    monkeypatch.setattr(RefusingRedis, "reply", "OOM command not allowed")
    with pytest.raises(ResponseError, match="OOM"):
        refused_by_redis()
