#!/usr/bin/env bash
# Runs MLflow's tracking server for a team on this machine: on loopback, behind user names and passwords, its runs,
# models and users in PostgreSQL (services/start.sh starts that when it does not run), its artifacts in
# build/services/mlflow/artifacts. In the foreground; Ctrl-C stops it. Settings: mlflow/server.conf.
#
# The administrator's password is made once and stands, with all that a client needs to be told, in
# build/services/mlflow/environment (readable by you alone).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
source "$root/mlflow/server.conf"
python=${PYTHON:-$root/.venv/bin/python} own=$folder/mlflow
readonly python own

"$python" -c "import flask_wtf, psycopg" 2>/dev/null ||
  die "the tracking server's packages are missing: pip install 'recsys[mlflow-server]' (or make setup)"
if (exec 3<>"/dev/tcp/127.0.0.1/$MLFLOW_SERVER_PORT") 2>/dev/null; then
  die "port $MLFLOW_SERVER_PORT is taken by another program. Choose another one: MLFLOW_SERVER_PORT=PORT make mlflow-server"
fi
if [[ ! -f $environment ]] || ! postgres_runs; then "$root/services/start.sh"; fi
postgres_url=$(sed -n 's/^RECSYS_TEST_REGISTRY=//p' "$environment")
postgres_url=${postgres_url%/*} # without the feature store's database

umask 077
mkdir -p "$own/artifacts"
if [[ ! -f $own/secrets ]]; then
  new_secret() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
  printf 'admin_password=%s\nsecret_key=%s\n' "$(new_secret)" "$(new_secret)" >"$own/secrets"
fi
source "$own/secrets"

POSTGRES_URL=$postgres_url "$python" - mlflow mlflow_users <<'PYTHON' || die "PostgreSQL could not make MLflow's databases"
import os
import sys

import psycopg

url = os.environ["POSTGRES_URL"].replace("postgresql+psycopg", "postgresql", 1)
with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
    there = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
    for name in sys.argv[1:]:
        if name not in there:
            connection.execute(f'CREATE DATABASE "{name}"')
PYTHON

sed "s|^database_uri = .*|database_uri = $postgres_url/mlflow_users|" "$root/mlflow/basic_auth.ini" >"$own/basic_auth.ini"
cat >"$own/environment" <<ENVIRONMENT
RECSYS_TRACKING_URI=http://127.0.0.1:$MLFLOW_SERVER_PORT
MLFLOW_TRACKING_USERNAME=admin
MLFLOW_TRACKING_PASSWORD=$admin_password
ENVIRONMENT
say "tracking server on http://127.0.0.1:$MLFLOW_SERVER_PORT; how to reach it: $own/environment"
cd "$own"
export MLFLOW_AUTH_CONFIG_PATH=$own/basic_auth.ini MLFLOW_AUTH_ADMIN_USERNAME=admin \
  MLFLOW_AUTH_ADMIN_PASSWORD=$admin_password MLFLOW_FLASK_SERVER_SECRET_KEY=$secret_key \
  MLFLOW_BACKEND_STORE_URI=$postgres_url/mlflow MLFLOW_DISABLE_TELEMETRY=true \
  MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
unset MLFLOW_TRACKING_URI
exec "$python" -m mlflow server --app-name basic-auth --host 127.0.0.1 --port "$MLFLOW_SERVER_PORT" \
  --workers "$MLFLOW_SERVER_WORKERS" --allowed-hosts "127.0.0.1:*,localhost:*" \
  --serve-artifacts --artifacts-destination "file://$own/artifacts"
