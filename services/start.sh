#!/usr/bin/env bash
# Starts Redis and PostgreSQL for this checkout alone: on loopback, on their own ports, with their data in
# build/services/ (PostgreSQL's below /var/tmp where its user may not enter the checkout). Missing programs come from the operating system's packages. Safe to run again; when both run
# already nothing changes. Each start makes new passwords, in build/services/environment (readable by you alone).
#
#   RECSYS_SERVICES_REDIS_PORT=…, RECSYS_SERVICES_POSTGRES_PORT=…, RECSYS_SERVICES_FOLDER=…   other places
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
mkdir -p "$folder"

install_missing() {
  local missing=()
  command -v redis-server >/dev/null && command -v redis-cli >/dev/null || missing+=(redis-server)
  postgres_bin >/dev/null || missing+=(postgresql)
  [[ ${#missing[@]} == 0 ]] && return
  local command="apt-get install -y ${missing[*]}"
  command -v apt-get >/dev/null || die "${missing[*]} missing, and there is no apt-get here. Install them yourself."
  [[ $(id -u) == 0 ]] || die "${missing[*]} missing, and only root may install them. Run: sudo $command"
  say "installing ${missing[*]} from the operating system's packages"
  local log=$folder/install.log
  { apt-get update && DEBIAN_FRONTEND=noninteractive $command; } >"$log" 2>&1 ||
    die "$(tail -n 5 "$log")" "could not install ${missing[*]}; all of apt-get's output is in $log"
}

check_port_is_free() {
  if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then
    die "port $1 is taken by another program. Choose another one: $2=PORT make services"
  fi
}

new_password() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

start_redis() {
  check_port_is_free "$redis_port" RECSYS_SERVICES_REDIS_PORT
  mkdir -p "$redis"
  cat >"$redis/redis.conf" <<CONF
bind 127.0.0.1
port $redis_port
requirepass $1
daemonize yes
dir "$redis"
pidfile "$redis/redis.pid"
logfile "$redis/redis.log"
appendonly yes
maxmemory-policy noeviction
CONF
  redis-server "$redis/redis.conf" || die "Redis did not start; see $redis/redis.log"
  for _ in {1..100}; do
    redis_runs && return
    sleep 0.1
  done
  die "$(tail -n 5 "$redis/redis.log" 2>/dev/null)" "Redis did not answer within ten seconds; see $redis/redis.log"
}

start_postgres() {
  check_port_is_free "$postgres_port" RECSYS_SERVICES_POSTGRES_PORT
  local bin log=$postgres/postgres.log
  bin=$(postgres_bin)
  mkdir -p "$postgres"
  if [[ $(id -u) == 0 ]]; then
    chown postgres "$postgres"
    as_postgres test -w "$postgres" || die "the user postgres may not write to $postgres; set RECSYS_SERVICES_FOLDER"
  fi
  if [[ ! -f $postgres/data/PG_VERSION ]]; then
    as_postgres tee "$postgres/first-password" <<<"$1" >/dev/null
    as_postgres "$bin/initdb" -D "$postgres/data" -U recsys -A scram-sha-256 --pwfile="$postgres/first-password" \
      -E UTF8 --locale=C >/dev/null || die "initdb could not make $postgres/data"
    rm "$postgres/first-password"
    single_user <<<"CREATE DATABASE recsys"
  fi
  single_user <<<"ALTER ROLE recsys PASSWORD '$1'"
  as_postgres "$bin/pg_ctl" -D "$postgres/data" -l "$log" -w -t 60 start >/dev/null \
    -o "-c listen_addresses=127.0.0.1 -c port=$postgres_port -c unix_socket_directories=''" ||
    die "$(as_postgres tail -n 5 "$log" 2>/dev/null)" "PostgreSQL did not start; see $log"
}

# Talks to the stopped server's files: needs no password.
single_user() {
  as_postgres "$(postgres_bin)/postgres" --single -j -D "$postgres/data" -c log_checkpoints=off postgres >/dev/null ||
    die "PostgreSQL could not open $postgres/data; remove that folder to start anew"
}

install_missing
umask 077
if [[ -f $environment ]] && redis_runs && postgres_runs; then
  say "Redis runs on 127.0.0.1:$redis_port and PostgreSQL on 127.0.0.1:$postgres_port already"
  exit 0
fi
"$root/services/stop.sh" >/dev/null
trap '"$root/services/stop.sh" >/dev/null' EXIT # half a start is none
redis_secret=$(new_password) postgres_secret=$(new_password)
start_redis "$redis_secret"
start_postgres "$postgres_secret"
cat >"$environment" <<ENVIRONMENT
RECSYS_TEST_ONLINE_STORE=redis://:$redis_secret@127.0.0.1:$redis_port/0
RECSYS_TEST_REGISTRY=postgresql+psycopg://recsys:$postgres_secret@127.0.0.1:$postgres_port/recsys
ENVIRONMENT
trap - EXIT
say "Redis on 127.0.0.1:$redis_port and PostgreSQL on 127.0.0.1:$postgres_port; how to reach them: $environment"
