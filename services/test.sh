#!/usr/bin/env bash
# Runs the feature store's tests on Redis and PostgreSQL. Services that it had to start are stopped afterwards.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"

if [[ ! -f $environment ]] || ! redis_runs || ! postgres_runs; then
  trap '"$root/services/stop.sh"' EXIT
  "$root/services/start.sh"
fi
set -a
source "$environment"
set +a
cd "$root"
RECSYS_TEST_SERVICES=required ${PYTHON:-.venv/bin/python} -m pytest tests/features tests/test_services.py \
  -k "scale or test_services" "$@"
