#!/usr/bin/env bash
# Sets up the environment, then runs the format check, the linter, mypy and the tests.
#
#   bash tools/test.sh                         all tests except the slow ones
#   bash tools/test.sh -m slow                 only the slow sweeps; -m '' runs all tests
#   bash tools/test.sh tests/tools -k pins     any arguments of pytest; paths start at the repository root
#   PYTHON=/path/to/python bash tools/test.sh  uses another environment, without set-up
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

run ruff format --check .
run ruff check .
run mypy
# One thread per process: pytest already starts one process per core. Each begins with its own
# half of the files, so that a fixture of a file is made once.
export OMP_NUM_THREADS=1
run pytest -n auto --maxprocesses 8 --dist worksteal "$@"
