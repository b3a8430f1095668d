"""More examples of the OpenAPI document: scores, heads, items, users and metrics."""

from __future__ import annotations

from typing import Any

from recsys.serving.messages.examples import ENVELOPE

SCORES_REQUESTS: dict[str, Any] = {
    "one": {
        "summary": "Three films for one user",
        "value": {"users": [{"user_id": "196"}], "items": ["50", "172", "181"], "probabilities": True},
    },
    "many": {
        "summary": "A user and a visitor, who has candidates of their own",
        "value": {
            "users": [{"user_id": "196"}, {"context": {"history": [{"item_id": "50"}]}, "items": ["172"]}],
            "items": ["50", "172", "181"],
        },
    },
}

SCORES_REPLY: dict[str, Any] = {
    **ENVELOPE,
    "users": [
        {
            "user_id": "196",
            "degraded": None,
            "context": {"stored": True, "events": 39, "log_sequence": 99831},
            "item_ids": ["50", "172", "181"],
            "scores": [6.8021, 6.3717, 5.9903],
            "probabilities": [0.0187, 0.0122, 0.0084],
        }
    ],
    "unknown_items": [],
}

SIMILAR_REPLY: dict[str, Any] = {
    **ENVELOPE,
    "item_id": "50",
    "title": "Star Wars (1977)",
    "measure": "cosine of the body's trained item vectors, their mean taken out",
    "items": [{"item_id": "181", "rank": 1, "similarity": 0.8312, "title": "Return of the Jedi (1983)"}],
}

CONTEXT_REPLY: dict[str, Any] = {
    **ENVELOPE,
    "user_id": "196",
    "known": True,
    "events": 39,
    "log_sequence": 99831,
    "first_event_at": "1997-12-04T15:26:27Z",
    "last_event_at": "1997-12-04T16:05:40Z",
    "events_last_7_days": 39,
    "events_last_30_days": 39,
    "history": [
        {"item_id": "242", "title": "Kolya (1996)", "occurred_at": "1997-12-04T15:55:49Z", "value": 3.0},
    ],
    "seen_items": ["242"],
    "affinities": [{"category": "genres=Comedy", "share": 0.41}],
    "profile": {"age": 49.0, "gender": "M", "occupation": "writer"},
}

DELETION_REPLY: dict[str, Any] = {**ENVELOPE, "user_id": "196", "events": 39, "log_sequence": 100002}

HEADS_REQUESTS: dict[str, Any] = {
    "known user": {"summary": "A user and two candidates", "value": {"user_id": "196", "items": ["50", "172"]}},
    "visitor": {
        "summary": "Somebody never seen",
        "value": {"context": {"history": [{"item_id": "50"}]}, "items": ["172", "181"]},
    },
}

HEADS_REPLY: dict[str, Any] = {
    **ENVELOPE,
    "user_id": "196",
    "context": {"stored": True, "events": 39, "log_sequence": 99831},
    "kind": "film",
    "experts": ["body", "memory", "popularity"],
    "item_ids": ["50", "172"],
    "unknown_items": [],
    "tensors": {
        "gains": [0.9, 1.4, 0.2],
        "log_temperature": -0.1,
        "expert_scores": [[1.2, 2.1, 1.9], [0.7, 1.8, 1.5]],
        "film": [0.1, -0.2],
        "state": [0.8, -1.1],
        "vectors": [[0.5, -0.7], [0.3, -0.4]],
        "core": None,
        "basis_u": None,
        "basis_v": None,
        "offset": None,
    },
}

ITEM_REQUESTS: dict[str, Any] = {
    "off the shelf": {"summary": "Not to be recommended for now", "value": {"available": False}},
    "attributes": {
        "summary": "All attributes of a film",
        "value": {"attributes": {"title": "Star Wars (1977)", "year": 1977, "genres": ["Action", "Sci-Fi"]}},
    },
}

ITEM_REPLY: dict[str, Any] = {
    **ENVELOPE,
    "item_id": "50",
    "in_catalogue": True,
    "available": False,
    "scorable": True,
    "attributes": {"title": "Star Wars (1977)", "year": 1977.0, "genres": ["Action", "Sci-Fi"]},
    "note": "It is not available.",
}

REMOVED_ITEM_REPLY: dict[str, Any] = {**ITEM_REPLY, "in_catalogue": False, "attributes": {}}

METRICS = """# HELP recsys_request_seconds Time from a request's head to the end of its reply.
# TYPE recsys_request_seconds histogram
recsys_request_seconds_bucket{le="0.01",method="POST",route="/v1/recommendations",status="200"} 812.0
recsys_request_seconds_count{method="POST",route="/v1/recommendations",status="200"} 1204.0
# HELP recsys_degraded_replies_total Replies that were less than they could be.
# TYPE recsys_degraded_replies_total counter
recsys_degraded_replies_total{reason="unknown_user"} 31.0
# HELP recsys_event_log_position The event log's newest sequence number.
# TYPE recsys_event_log_position gauge
recsys_event_log_position 100001.0
"""
