#!/usr/bin/env bash
# Sets up the environment, then runs the format check, the linter, mypy and the tests.
#
#   bash tools/test.sh                         all tests except the slow ones
#   bash tools/test.sh -m slow                 only the slow sweeps; -m '' runs all tests
#   bash tools/test.sh tests/tools -k pins     any arguments of pytest; paths start at the repository root
#   PYTHON=/path/to/python bash tools/test.sh  uses another environment, without set-up
#
# The tests of pages need Chromium. Where apt-get may install it, this does. Then their being skipped is a
# failure. TNT_BACKBONE_CHROMIUM=/path/to/chrome uses another one, TNT_BACKBONE_BROWSER=skip leaves these tests out.
set -euo pipefail

TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [[ -z ${PYTHON:-} ]]; then
  bash "$TOOLS/setup_env.sh" --keep
  PYTHON="$TOOLS/../.venv/bin/python"
fi
source "$TOOLS/_python.sh"
cd "$ROOT"

run() {
  printf '\n== %s\n' "$*"
  "$PYTHON" -m "$@"
}

# A Chromium that is there or can be installed must be used: a skipped test would go unnoticed.
find_chromium() {
  command -v "${TNT_BACKBONE_CHROMIUM:-chromium}" || command -v chromium-browser || command -v google-chrome
}
if [[ ${TNT_BACKBONE_BROWSER:-} != skip ]]; then
  if ! find_chromium >/dev/null && ((EUID == 0)) && command -v apt-get >/dev/null; then
    printf '\n== apt-get install chromium, for the tests of pages\n'
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends chromium >/dev/null; } || {
      printf 'ERROR: apt-get could not install chromium.\n' >&2
      printf '  Name another one:        TNT_BACKBONE_CHROMIUM=/path/to/chrome bash tools/test.sh\n' >&2
      printf '  Without tests of pages:  TNT_BACKBONE_BROWSER=skip bash tools/test.sh\n' >&2
      exit 1
    }
  fi
  if find_chromium >/dev/null; then export TNT_BACKBONE_BROWSER=require; fi
fi

run ruff format --check .
run ruff check .
run mypy
# One thread per process: pytest already starts one process per core. Each begins with its own
# half of the files, so that a fixture of a file is made once.
export OMP_NUM_THREADS=1
unset PYTHONDONTWRITEBYTECODE # hundreds of processes import the same modules
run pytest -n auto --maxprocesses 8 --dist worksteal "$@"
