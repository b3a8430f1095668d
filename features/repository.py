"""The definitions of one workspace as Feast's own command line wants them: objects at module level.

RECSYS_WORKSPACE=NAME feast --chdir features --feature-store-yaml WORKSPACE/feature_store/feature_store.yaml apply
"""

from item_features import item_entity, item_features, item_service
from user_features import (
    context_service,
    live_user_rows,
    user_context,
    user_entity,
    user_row_validity,
    user_seen,
    user_source,
)

from recsys.context.item_rows import item_feature_schema
from recsys.context.layout import workspace_of_environment
from recsys.context.row_folders import item_row_folder, user_row_folder
from recsys.context.rows import feature_schema
from recsys.data.schema import WorkspaceSchema

_workspace = workspace_of_environment()
_schema = WorkspaceSchema.load(_workspace.schema_file)
_version = feature_schema(_schema)
_item_version = item_feature_schema(_schema)

user = user_entity()
rows = user_source(user_row_folder(_workspace, _version), _version)
live = live_user_rows(rows, _version)
context = user_context(user, live, _schema, _version)
seen = user_seen(user, live, _version)
validity = user_row_validity(user, rows, _version)
service = context_service(context, seen, _schema, _version)

item = item_entity()
items = item_features(item, item_row_folder(_workspace, _item_version), _schema, _item_version)
items_service = item_service(items, _schema, _item_version)
