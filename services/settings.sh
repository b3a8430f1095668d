# Where the local Redis and PostgreSQL keep their things and on which ports they listen. Sourced by the other scripts.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root
readonly folder=${RECSYS_SERVICES_FOLDER:-$root/build/services}
readonly redis_port=${RECSYS_SERVICES_REDIS_PORT:-16379} postgres_port=${RECSYS_SERVICES_POSTGRES_PORT:-15432}
readonly environment=$folder/environment redis=$folder/redis

# Whether every user may pass through all folders on the way to $1.
open_to_all() {
  local path=$1
  while [[ $path != / ]]; do
    [[ ! -e $path || $(stat -c %A "$path") == *[xt] ]] || return 1
    path=$(dirname "$path")
  done
}

# Started by root, PostgreSQL runs as another user, who may be kept out of the checkout (below /root, or mktemp -d).
postgres=$folder/postgres
if [[ $(id -u) == 0 ]] && ! open_to_all "$folder"; then
  postgres=/var/tmp/recsys-services-$(printf %s "$folder" | cksum | cut -d " " -f 1)
fi
readonly postgres

say() { printf 'services: %s\n' "$*"; }
die() { printf 'services: %s\n' "$@" >&2; exit 1; }

# PostgreSQL refuses to run as root: there it runs as the user that its package made.
as_postgres() {
  if [[ $(id -u) == 0 ]]; then (cd / && runuser -u postgres -- "$@"); else "$@"; fi
}

# Debian keeps the server's programs out of PATH.
postgres_bin() {
  local found
  found=$(command -v pg_ctl || ls -d /usr/lib/postgresql/*/bin/pg_ctl 2>/dev/null | sort -V | tail -n 1) || true
  [[ -n $found ]] && dirname "$found"
}

postgres_runs() {
  local bin
  bin=$(postgres_bin) && [[ -d $postgres/data ]] && as_postgres "$bin/pg_ctl" -D "$postgres/data" status >/dev/null 2>&1
}

redis_password() { sed -n 's/^requirepass //p' "$redis/redis.conf"; }

redis_runs() {
  [[ -f $redis/redis.conf ]] && command -v redis-cli >/dev/null &&
    [[ $(REDISCLI_AUTH=$(redis_password) redis-cli -h 127.0.0.1 -p "$redis_port" ping 2>/dev/null) == PONG ]]
}
