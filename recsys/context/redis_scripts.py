"""What is done to online rows on Redis, each in one Lua script that first checks the writer's fencing token.

It knows keys and fields, nothing of Feast.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from recsys.context.fencing import fenced_off, writer
from recsys.context.redis_client import fence_key

_REFUSED = "FENCED"
# KEYS: what is changed, the fence. ARGV: the token, then each script's own.
_GUARD = f"""
local largest = tonumber(redis.call('GET', KEYS[2]) or '0')
if tonumber(ARGV[1]) < largest then return redis.error_reply('{_REFUSED} by token ' .. largest) end
redis.call('SET', KEYS[2], ARGV[1])
"""
WRITE = f"""{_GUARD}
local stored = redis.call('HMGET', KEYS[1], ARGV[2], ARGV[4])
if stored[1] and stored[2] and tonumber(stored[1]) > tonumber(ARGV[3]) then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
return 1
"""
"""ARGV: the version's field, the version, the timestamp's field, the timestamp, then field and value in turn."""

REMOVE = f"{_GUARD} return redis.call('UNLINK', KEYS[1])"

REMOVE_OLDER = f"""{_GUARD}
local stored = redis.call('HGET', KEYS[1], ARGV[3])
if not stored or tonumber(stored) >= tonumber(ARGV[2]) then return 0 end
redis.call('HDEL', KEYS[1], unpack(ARGV, 3))
return 1
"""
"""ARGV: the version, the version's field, every other field of the view."""

RAISE = f"{_GUARD} return 1"

KEEP_LARGEST = f"""{_GUARD}
if tonumber(redis.call('GET', KEYS[1]) or '0') < tonumber(ARGV[2]) then redis.call('SET', KEYS[1], ARGV[2]) end
return 1
"""
"""ARGV: a number."""


def run(client: Redis, project: str, script: str, calls: Sequence[tuple[bytes | str, Sequence[Any]]]) -> list[int]:
    """Runs a script for each (key, arguments), in one round trip; each call is atomic, all of them together are not.

    Raises:
        FencedOffError: a writer with a greater token was here, or nobody said who writes; the calls that were left did
            nothing.
    """
    once, fence, token = client.register_script(script), fence_key(project), writer()
    try:
        with client.pipeline(transaction=False) as pipe:
            for key, arguments in calls:
                once(keys=[key, fence], args=[token, *arguments], client=pipe)
            return [int(reply) for reply in pipe.execute()]
    except ResponseError as error:
        refused = re.search(rf"{_REFUSED} by token (\d+)", str(error))
        if refused is None:
            raise
        raise fenced_off(token, int(refused[1])) from error
