"""The definitions of one workspace as Feast's own command line wants them: objects at module level.

RECSYS_WORKSPACE=NAME feast --chdir features --feature-store-yaml WORKSPACE/feature_store/feature_store.yaml apply
"""

from user_features import context_service, user_context, user_entity, user_row_validity, user_seen, user_source

from recsys.context.layout import offline_rows, workspace_of_environment
from recsys.data.schema import WorkspaceSchema

_workspace = workspace_of_environment()
_schema = WorkspaceSchema.load(_workspace.schema_file)

user = user_entity()
rows = user_source(offline_rows(_workspace))
context = user_context(user, rows, _schema)
seen = user_seen(user, rows)
validity = user_row_validity(user, rows)
service = context_service(context, seen, _schema)
