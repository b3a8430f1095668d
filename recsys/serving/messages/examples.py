"""The examples in the OpenAPI document: one request and one reply of each kind, true to the films of MovieLens."""

from __future__ import annotations

from typing import Any

ENVELOPE: dict[str, Any] = {
    "request_id": "0d5b3c1e4f7a4a62b1f3a5c2d9e8f701",
    "model_version": "3",
    "feature_service": "context_5b1f0c2a",
    "degraded": None,
}

_CONTENT_HASH = "8c1d4bd0f4b3ac7f0d6f1f6a9c1f4e0d5b7a2c3e4f5061728394a5b6c7d8e9f0"
_LINEAGE: dict[str, Any] = {
    "data_fingerprint": "1f0e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "log_position": 100000,
    "code_commit": "9af8b5a2c1d0",
}

RECOMMENDATION_REQUESTS: dict[str, Any] = {
    "known user": {"summary": "A user with stored history", "value": {"user_id": "196", "k": 10}},
    "visitor": {
        "summary": "Somebody never seen, with three films",
        "value": {"context": {"history": [{"item_id": "50"}, {"item_id": "172"}, {"item_id": "181"}]}, "k": 10},
    },
    "filtered": {
        "summary": "Comedies since 1990, unlike each other, with reasons",
        "value": {
            "user_id": "196",
            "k": 5,
            "filters": [
                {"column": "genres", "op": "contains", "value": "Comedy"},
                {"column": "year", "op": ">=", "value": 1990},
            ],
            "diversity": 0.3,
            "explain": True,
        },
    },
    "session": {
        "summary": "A known user and what just happened, one film left out",
        "value": {
            "user_id": "196",
            "context": {"history": [{"item_id": "100", "occurred_at": "1998-04-22T10:15:00Z"}]},
            "exclude_items": ["313"],
        },
    },
}

RECOMMENDATION_REPLY: dict[str, Any] = {
    **ENVELOPE,
    "arm": None,
    "origin": {"content_hash": _CONTENT_HASH, **_LINEAGE},
    "user_id": "196",
    "context": {"stored": True, "events": 39, "log_sequence": 99831},
    "items": [
        {
            "item_id": "174",
            "rank": 1,
            "score": 7.4127,
            "title": "Raiders of the Lost Ark (1981)",
            "explanation": {
                "experts": {"body": 2.1019, "memory": 3.9871, "long_term": 0.8425, "popularity": 0.4812},
                "history": [{"item_id": "172", "title": "Empire Strikes Back, The (1980)", "contribution": 0.6214}],
            },
        },
        {
            "item_id": "204",
            "rank": 2,
            "score": 7.2086,
            "title": "Back to the Future (1985)",
            "explanation": None,
        },
    ],
    "ignored_items": [],
    "shortfall": None,
}

EVENTS_REQUESTS: dict[str, Any] = {
    "one": {
        "summary": "One event, safe to send again",
        "value": {"events": [{"event_id": "order-7781", "user_id": "196", "item_id": "50", "value": 5}]},
    },
    "answer": {
        "summary": "What a user took from a list that was recommended",
        "value": {"events": [{"user_id": "196", "item_id": "174", "request_id": ENVELOPE["request_id"]}]},
    },
    "many": {
        "summary": "Two events with their times",
        "value": {
            "events": [
                {"user_id": "196", "item_id": "50", "occurred_at": "1998-04-22T10:15:00Z"},
                {"user_id": "186", "item_id": "172", "occurred_at": "1998-04-22T10:15:02Z"},
            ]
        },
    },
}

EVENTS_REPLY: dict[str, Any] = {
    **ENVELOPE,
    "accepted": 1,
    "duplicates": 0,
    "conflicts": 0,
    "withheld": 0,
    "log_sequence": 100001,
    "event_ids": ["order-7781"],
    "unknown_items": [],
}

MODEL_REPLY: dict[str, Any] = {
    **ENVELOPE,
    "workspace": "movielens-100k",
    "content_hash": _CONTENT_HASH,
    "catalogue_size": 1682,
    "items_repeat": False,
    "metrics": {"validation": {"ndcg@10": 0.1, "hr@10": 0.2}},
    "lineage": _LINEAGE,
    "context_faults": {"unknown_items": 3, "values": 0, "times": 1, "order": 0},
    "experiment": {
        "challenger_version": "4",
        "split": 0.1,
        "substitutions": 0,
        "impressions": {"done": 12041, "dropped": 0},
        "shadow": 0.0,
        "shadow_scores": None,
    },
}

HEALTH: dict[str, Any] = {"status": "alive", "request_id": ENVELOPE["request_id"]}
READINESS: dict[str, Any] = {
    "status": "ready",
    "request_id": ENVELOPE["request_id"],
    "model_version": "3",
    "feature_service": ENVELOPE["feature_service"],
}

PROBLEM: dict[str, Any] = {
    "type": "about:blank",
    "title": "Unprocessable Content",
    "status": 422,
    "detail": "k: The catalogue has 1682 items; ask for 1 to 1682.",
    "code": "invalid_request",
    "request_id": ENVELOPE["request_id"],
    "errors": [{"field": "k", "pointer": "/k", "detail": "The catalogue has 1682 items; ask for 1 to 1682."}],
}
NO_CHAMPION: dict[str, Any] = {
    "type": "about:blank",
    "title": "Service Unavailable",
    "status": 503,
    "detail": "Workspace movielens-100k has no champion yet. Make one with: recsys train -w movielens-100k",
    "code": "no_champion",
    "request_id": ENVELOPE["request_id"],
    "errors": [],
}
