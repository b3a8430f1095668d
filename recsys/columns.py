"""The one place for column names: every frame that crosses a module border uses these."""

USER_ID = "user_id"
ITEM_ID = "item_id"

# What users bring.
TIMESTAMP = "timestamp"
POSITION = "position"
VALUE = "value"
EVENT = "event"

# What the event log adds. Times are int64 microseconds since the epoch, UTC.
EVENT_ID = "event_id"
OCCURRED_AT = "occurred_at"
RECEIVED_AT = "received_at"
LOG_SEQUENCE = "log_sequence"
ITEM_EVENTS_BEFORE = "item_events_before"

# What an event may name, and every reply carries.
REQUEST_ID = "request_id"

# What the fold makes of a user's slice of the log.
EFFECTIVE_AT = "effective_at"
HISTORY_ITEMS = "history_items"
HISTORY_TIMES = "history_times"
HISTORY_VALUES = "history_values"
SEEN_ITEMS = "seen_items"
SEEN_COUNTS = "seen_counts"
SEEN_LAST = "seen_last"
EVENT_COUNT = "event_count"
FIRST_EVENT_AT = "first_event_at"
LAST_EVENT_AT = "last_event_at"
PRESENT = "present"
EVENTS_LAST_7_DAYS = "events_last_7_days"
EVENTS_LAST_30_DAYS = "events_last_30_days"
ACTIVE_DAYS = "active_days"
MEAN_GAP = "mean_gap"
POPULARITY_MEAN = "popularity_mean"
POPULARITY_SPREAD = "popularity_spread"
FIRST_SHARE = "first_share"
AFFINITY_NAMES = "affinity_names"
AFFINITY_WEIGHTS = "affinity_weights"

# What the feature store adds to a row. LOG_POSITION: where the log stood when the row was folded. VALID_UNTIL: the
# row is exact as of any moment up to and including this one; bookkeeping, never an input of a model.
EVENT_TIMESTAMP = "event_timestamp"
CREATED_TIMESTAMP = "created_timestamp"
LOG_POSITION = "log_position"
SEEN_LOG_POSITION = "seen_log_position"
VALID_UNTIL = "valid_until"

# What is kept of a reply: what was shown, and as part of which experiment.
SHOWN_AT = "shown_at"
ARM = "arm"
CHAMPION_VERSION = "champion_version"
CHALLENGER_VERSION = "challenger_version"
PROPENSITY = "propensity"
ITEM_IDS = "item_ids"
SURFACE = "surface"
DEGRADED = "degraded"

# What recommendations carry.
RANK = "rank"
SCORE = "score"
MODEL_VERSION = "model_version"
AS_OF = "as_of"
