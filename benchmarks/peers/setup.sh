#!/usr/bin/env bash
# Sets up the peers' own environments in build/peers, about 3 GB: RecTools and RecBole ask for numpy below 2, LensKit
# does not, and we have 2.4.
#
#   benchmarks/peers/setup.sh      after make setup; safe to run again
#   benchmarks/peers/setup.sh venv     that of RecTools and RecBole alone; `lenskit` is that of LensKit and implicit
#   TORCH_INDEX_URL=https://…      where torch comes from, e.g. https://download.pytorch.org/whl/cpu
#   PEERS_CUDA=1                   accept PyPI's plain torch, which on Linux is the CUDA build (several GB)
set -euo pipefail

TORCH=2.13.0

cd "$(dirname "${BASH_SOURCE[0]}")/../.."

die() { printf 'peers: %s\n' "$@" >&2; exit 1; }

install_torch() {  # of what the environment's requirements say of numpy
  local numpy
  numpy=$(grep '^numpy==' "$requirements")
  if [[ -n ${TORCH_INDEX_URL:-} ]]; then
    "${pip[@]}" --index-url "$TORCH_INDEX_URL" --extra-index-url https://pypi.org/simple "torch==$TORCH" "$numpy"
  elif ! "${pip[@]}" "torch==$TORCH+cpu" "$numpy"; then
    [[ ${PEERS_CUDA:-} == 1 ]] || die "pip offers no CPU build of torch $TORCH here." \
      "Say where one is: TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu benchmarks/peers/setup.sh" \
      "(or PEERS_CUDA=1 for the plain build, which brings several GB of CUDA)"
    "${pip[@]}" "torch==$TORCH" "$numpy"
  fi
}

environment() {  # name, requirements, what has to be importable
  local venv=$PWD/build/peers/$1 requirements=benchmarks/peers/$2 pip stamp
  stamp=$venv/peers.stamp
  fingerprint() { { echo "$venv $TORCH"; cat "$requirements"; } | cksum; }
  if [[ -f $stamp && $(cat "$stamp") == "$(fingerprint)" ]]; then return; fi
  .venv/bin/python -m venv --clear "$venv"
  pip=("$venv/bin/python" -m pip --disable-pip-version-check --no-input -q install --retries 5)
  install_torch
  "${pip[@]}" --no-deps -r "$requirements"
  "$venv/bin/python" -W ignore -c "$3" || die "What belongs into $venv cannot be imported; see above."
  fingerprint >"$stamp"
  echo "peers: ready in $venv"
}

[[ -x .venv/bin/python ]] || die "There is no .venv yet. Run first: make setup"
[[ $# -gt 0 ]] || set -- venv lenskit
for name in "$@"; do
  case $name in
    venv) environment venv requirements.txt \
      'from rectools.models import SASRecModel; from recbole.model.sequential_recommender import SASRec' ;;
    lenskit) environment lenskit lenskit.txt \
      'from lenskit.als import ImplicitMFScorer; from implicit.als import AlternatingLeastSquares' ;;
    *) die "There is no environment '$name'; there are venv and lenskit." ;;
  esac
done
