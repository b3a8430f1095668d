#!/usr/bin/env bash
# Stops what services/start.sh started. The data stay in build/services/. Safe to run again.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"

if redis_runs; then
  REDISCLI_AUTH=$(redis_password) redis-cli -h 127.0.0.1 -p "$redis_port" shutdown nosave >/dev/null 2>&1 || true
fi
if postgres_runs; then
  as_postgres "$(postgres_bin)/pg_ctl" -D "$postgres/data" -m fast -w -t 60 stop >/dev/null
fi
rm -f "$environment"
say "stopped"
