#!/usr/bin/env bash
# Sets up .venv from the lock: safe to run again at any moment, and quick when nothing changed.
#
#   requirements/setup.sh          the library, its tests and notebooks (requirements/lock.txt)
#   EXTRAS=all …                   every extra as well (requirements/all.txt)
#   PYTHON=/path/to/python3.11 …   which interpreter to build on
#   TORCH_INDEX_URL=https://…      where torch comes from, e.g. https://download.pytorch.org/whl/cpu
#                                  (read when .venv gets its torch; remove .venv to change the variant)
#
# docs/decisions/0001-dependencies.md says why torch and fbgemm are not in the lock.
set -euo pipefail

TORCH=2.13.0
FBGEMM=1.8.0
ATTEMPTS=3

cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly root=$PWD venv=$PWD/.venv
readonly python=$venv/bin/python stamp=$venv/recsys-setup.stamp writing=$venv/recsys-setup.writing log=$venv/recsys-setup.log

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$@" >&2; exit 1; }

case "${EXTRAS:-}" in
  "") lock=requirements/lock.txt ;;
  all) lock=requirements/all.txt ;;
  *) die "EXTRAS=$EXTRAS is not known: leave it out, or use EXTRAS=all." ;;
esac

# What the environment was made from; a moved checkout needs another one, its paths are absolute.
fingerprint() { { echo "$root $1"; cat requirements/setup.sh "$1" pyproject.toml; } | cksum; }

up_to_date() {
  [[ -x $python && ! -e $writing && -f $stamp ]] || return 1
  local made_from
  made_from=$(cat "$stamp")
  # An environment with every extra serves as well where fewer are asked for.
  [[ $made_from == "$(fingerprint "$lock")" || $made_from == "$(fingerprint requirements/all.txt)" ]]
}

is_cpython_311() {
  "$1" -c 'import sys; sys.exit((sys.implementation.name, *sys.version_info[:2]) != ("cpython", 3, 11))' 2>/dev/null
}

find_python() {
  local candidate
  for candidate in ${PYTHON:+"$PYTHON"} python3.11 python3 python; do
    if is_cpython_311 "$candidate"; then echo "$candidate"; return; fi
    [[ $candidate != "${PYTHON:-}" ]] || die "PYTHON=$PYTHON is not a CPython 3.11."
  done
  die "No CPython 3.11 found (looked for python3.11, python3 and python)." \
    "Install one (for example: apt-get install python3.11 python3.11-venv, pyenv install 3.11, uv python install 3.11)" \
    "and run this again; if it is not on PATH: make setup PYTHON=/path/to/python3.11"
}

make_venv() {
  local base output
  if [[ -e $writing ]] && had_begun_to_write; then
    say "the last set-up was interrupted while it wrote packages; starting .venv afresh"
    rm -rf "$venv"
  elif [[ -e $venv ]] && ! is_cpython_311 "$python"; then
    say ".venv is not a working CPython 3.11; starting it afresh"
    rm -rf "$venv"
  fi
  rm -f "$writing"
  is_cpython_311 "$python" && "$python" -m pip --version >/dev/null 2>&1 && return
  base=$(find_python)
  say "making .venv with $("$base" --version)"
  output=$("$base" -m venv --clear "$venv" 2>&1) || {
    rm -rf "$venv"
    die "$output" "$base cannot make a virtual environment (on Debian and Ubuntu: apt-get install python3.11-venv)."
  }
}

# pip changes nothing before it has fetched everything; from this line of its log on, packages are being written.
had_begun_to_write() { grep -qs '^Installing collected packages' "$log"; }

# One pip run: its output goes to the log, progress for people to stdout. $writing stays when it ends half-way.
pip_once() {
  local status=0
  : >"$log"
  : >"$writing"
  "$python" -m pip --disable-pip-version-check --no-input install --progress-bar off --retries 5 "$@" 2>&1 |
    tee "$log" | awk '
      /^(Collecting|Processing)/ && ++n % 50 == 0 { printf "setup:   %d fetched\n", n; fflush() }
      /^Installing collected/ && n > 50 { print "setup:   writing them"; fflush() }' || status=$?
  if [[ $status == 0 ]] || ! had_begun_to_write; then rm -f "$writing"; fi
  return "$status"
}

no_such_release() { grep -q 'No matching distribution found' "$log"; }

pip_install() {
  local attempt
  for ((attempt = 1; attempt <= ATTEMPTS; attempt++)); do
    pip_once "$@" && return
    if no_such_release || had_begun_to_write; then break; fi
    [[ $attempt == "$ATTEMPTS" ]] || { say "pip failed, trying again in $((attempt * 10)) s"; sleep $((attempt * 10)); }
  done
  grep -Ev 'neither a file nor a directory|^Requirement already satisfied' "$log" | tail -n 20 >&2 || true
  die "pip could not install: $*" "The whole output is in $log. Check the network and pip's configuration, then run this again."
}

torch_release() { "$python" -c 'import importlib.metadata as m; print(m.version("torch"))' 2>/dev/null || true; }

# "CPU torch where pip offers it, CUDA torch otherwise": on PyPI the plain Linux wheel is the CUDA build.
install_torch() {
  local index=() have
  have=$(torch_release)
  if [[ ${have%%+*} == "$TORCH" ]]; then return; fi
  if [[ -n ${TORCH_INDEX_URL:-} ]]; then
    say "torch $TORCH from $TORCH_INDEX_URL"
    pip_install --index-url "$TORCH_INDEX_URL" --extra-index-url https://pypi.org/simple -c "$lock" "torch==$TORCH"
    return
  fi
  say "torch $TORCH"
  if pip_once -c "$lock" "torch==$TORCH+cpu"; then return; fi
  ! no_such_release || say "pip offers no CPU build of torch $TORCH here; taking the plain one (CUDA on Linux, large)"
  pip_install -c "$lock" "torch==$TORCH"
}

# Both variants write the same files: exactly one of them may be there.
install_fbgemm() {
  local wanted=fbgemm-gpu-cpu other=fbgemm-gpu
  if [[ $("$python" -W ignore -c 'import torch; print(torch.version.cuda or "")') != "" ]]; then
    wanted=fbgemm-gpu other=fbgemm-gpu-cpu
  fi
  if "$python" -m pip show -q "$other" >/dev/null 2>&1; then
    say "removing $other: it does not fit this torch"
    echo "Installing collected packages: (removing fbgemm)" >"$log"
    : >"$writing"
    "$python" -m pip uninstall -q -y fbgemm-gpu fbgemm-gpu-cpu >/dev/null 2>&1
    rm -f "$writing"
  fi
  say "$wanted $FBGEMM, which fits torch $(torch_release)"
  pip_install --no-deps "$wanted==$FBGEMM"
}

main() {
  # Two set-ups at once (quickstart in one terminal, tests in another) would write over each other.
  if command -v flock >/dev/null; then
    exec 9<requirements/setup.sh
    flock -n 9 || { say "waiting for another set-up of this checkout"; flock 9; }
  fi
  if up_to_date; then return; fi
  export PIP_ROOT_USER_ACTION=ignore
  local started=$SECONDS
  make_venv
  rm -f "$stamp"
  install_torch
  install_fbgemm
  say "$(grep -c '^[a-z]' "$lock") packages of $lock (some minutes the first time)"
  pip_install --no-deps -r "$lock"
  say "recsys itself, editable"
  pip_install --no-deps --no-build-isolation -e .
  fingerprint "$lock" >"$stamp"
  say "done in $((SECONDS - started)) s: .venv is ready"
}

main
