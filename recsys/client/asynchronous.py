"""The client for code with an event loop: the same as `recsys.client.Client`, to be awaited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self, Unpack

import httpx
from tenacity import AsyncRetrying

from recsys.client import calls
from recsys.client.bodies import ColumnValue, Event, HeadsBody, InlineEvent, ItemBody, RecommendOptions, ScoresBody
from recsys.client.calls import Call, Json, Reply
from recsys.client.exchanges import ATTEMPTS, TIMEOUT_SECONDS, arguments, headers, received, retrying, unanswered
from recsys.serving.messages.more_replies import (
    DeletionReply,
    HeadsReply,
    ItemReply,
    ScoresReply,
    SimilarReply,
    UserContextReply,
)
from recsys.serving.messages.replies import EventsReply, Health, ModelReply, Readiness, RecommendationReply


class AsyncClient:
    """One service at one address, asked as `recsys.client.Client` asks; many requests may be under way at a time.

    Args:
        url: where it answers, for example http://127.0.0.1:8000.
        key: an API key, where it asks for one.
        timeout: seconds for one attempt; a deletion takes as long as it takes.
        attempts: how often a request is sent at most; 1 for no retries.
        transport: another way to the service than the network.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout: float = TIMEOUT_SECONDS,
        attempts: int = ATTEMPTS,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = url
        self._attempts, self._timeout = attempts, timeout
        self._http = httpx.AsyncClient(
            base_url=url, timeout=timeout, headers=headers(key), trust_env=False, transport=transport
        )

    async def recommend(
        self,
        user_id: str | None = None,
        *,
        history: Sequence[str | InlineEvent] | None = None,
        profile: Mapping[str, ColumnValue] | None = None,
        k: int = 10,
        **options: Unpack[RecommendOptions],
    ) -> RecommendationReply:
        """The best items.

        Args:
            user_id: a stored user, None for a visitor.
            history: what the caller knows of beyond what is stored, oldest first: item ids, or items with their times.
            profile: values of the workspace's user columns.
            k: how many items.
            options: which items may come, in what order, and with reasons or not.
        """
        return await self.ask(calls.recommend(user_id, history, profile, k, **options))

    async def post_events(self, *events: Event) -> EventsReply:
        """Reports what happened; durable when this returns. Each event gets an id when it has none."""
        return await self.ask(calls.post_events(events))

    async def model(self) -> ModelReply:
        """Which model answers, and where it comes from."""
        return await self.ask(calls.model())

    async def health(self) -> Health:
        """Whether the process is alive."""
        return await self.ask(calls.health())

    async def ready(self) -> Readiness:
        """Whether it can answer; never tried again."""
        return await self.ask(calls.ready())

    async def scores(self, body: ScoresBody) -> ScoresReply:
        """POST /v1/scores: how given items are scored for a user or a context."""
        return await self.ask(calls.scores(body))

    async def heads(self, body: HeadsBody) -> HeadsReply:
        """POST /v1/heads: the head that is generated for a user or a context."""
        return await self.ask(calls.heads(body))

    async def heads_file(self, body: HeadsBody) -> bytes:
        """The same as a safetensors file: the tensors, everything else in its metadata."""
        return await self.ask(calls.heads_file(body))

    async def similar(self, item_id: str, *, k: int = 10) -> SimilarReply:
        """Items like this one."""
        return await self.ask(calls.similar(item_id, k))

    async def user_context(self, user_id: str) -> UserContextReply:
        """What is known of a user."""
        return await self.ask(calls.user_context(user_id))

    async def delete_user(self, user_id: str) -> DeletionReply:
        """Removes a user and all that is stored about them. It may take minutes, which are waited for."""
        return await self.ask(calls.delete_user(user_id))

    async def put_item(self, item_id: str, item: ItemBody) -> ItemReply:
        """Adds an item to the catalogue, or changes it."""
        return await self.ask(calls.put_item(item_id, item))

    async def delete_item(self, item_id: str) -> ItemReply:
        """Takes an item out of the catalogue."""
        return await self.ask(calls.delete_item(item_id))

    async def call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, repeatable: bool | None = None
    ) -> Json:
        """Any route of the service.

        Args:
            method: of HTTP.
            path: with its query, quoted.
            body: to be sent as JSON.
            repeatable: whether it may be sent again; None: as HTTP has it for the method.
        """
        return await self.ask(calls.plain(method, path, body, repeatable=repeatable))

    async def ask(self, call: Call[Reply]) -> Reply:
        """Sends a call of `recsys.client.calls`."""
        answer: Reply = await AsyncRetrying(**retrying(call, self._attempts))(self._once, call)
        return answer

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _once(self, call: Call[Reply]) -> Reply:
        try:
            reply = await self._http.request(**arguments(call, self._timeout))
        except httpx.HTTPError as error:
            raise unanswered(self.url, error) from error
        return received(self.url, call, reply)
