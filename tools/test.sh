#!/usr/bin/env bash
# Sets up the environment, then runs the formatter's check, the linter, mypy and the tests.
#
#   bash tools/test.sh                        everything but the slow tests
#   bash tools/test.sh -m slow                the slow sweeps alone; -m '' for all tests
#   bash tools/test.sh tests/tools -k pins    any arguments of pytest, seen from the repository root
#   PYTHON=/path/to/python bash tools/test.sh the same in another environment, without set-up
set -euo pipefail

TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [[ -z ${PYTHON:-} ]]; then
  bash "$TOOLS/setup_env.sh"
  PYTHON="$TOOLS/../.venv/bin/python"
fi
source "$TOOLS/_python.sh"
cd "$ROOT"

run() {
  printf '\n== %s\n' "$*"
  "$PYTHON" -m "$@"
}

run ruff format --check .
run ruff check .
run mypy
# One thread a process: pytest already starts a process for every core.
export OMP_NUM_THREADS=1
run pytest -n auto --maxprocesses 8 "$@"
