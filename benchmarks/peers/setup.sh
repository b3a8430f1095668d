#!/usr/bin/env bash
# Sets up the peers' own environment in build/peers/venv: RecTools asks for numpy below 2, we for 2.4. About 1.5 GB.
#
#   benchmarks/peers/setup.sh      after make setup; safe to run again
#   TORCH_INDEX_URL=https://…      where torch comes from, e.g. https://download.pytorch.org/whl/cpu
#   PEERS_CUDA=1                   accept PyPI's plain torch, which on Linux is the CUDA build (several GB)
set -euo pipefail

TORCH=2.13.0

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
readonly venv=$PWD/build/peers/venv requirements=benchmarks/peers/requirements.txt
readonly stamp=$venv/peers.stamp

die() { printf 'peers: %s\n' "$@" >&2; exit 1; }

fingerprint() { { echo "$venv $TORCH"; cat "$requirements"; } | cksum; }

if [[ -f $stamp && $(cat "$stamp") == "$(fingerprint)" ]]; then exit 0; fi
[[ -x .venv/bin/python ]] || die "There is no .venv yet. Run first: make setup"

.venv/bin/python -m venv --clear "$venv"
pip=("$venv/bin/python" -m pip --disable-pip-version-check --no-input -q install --retries 5)
numpy=$(grep '^numpy==' "$requirements")
if [[ -n ${TORCH_INDEX_URL:-} ]]; then
  "${pip[@]}" --index-url "$TORCH_INDEX_URL" --extra-index-url https://pypi.org/simple "torch==$TORCH" "$numpy"
elif ! "${pip[@]}" "torch==$TORCH+cpu" "$numpy"; then
  [[ ${PEERS_CUDA:-} == 1 ]] || die "pip offers no CPU build of torch $TORCH here." \
    "Say where one is: TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu benchmarks/peers/setup.sh" \
    "(or PEERS_CUDA=1 for the plain build, which brings several GB of CUDA)"
  "${pip[@]}" "torch==$TORCH" "$numpy"
fi
"${pip[@]}" --no-deps -r "$requirements"
"$venv/bin/python" -W ignore -c 'from rectools.models import SASRecModel' || die "RecTools cannot be imported; see above."
fingerprint >"$stamp"
echo "peers: ready in $venv"
