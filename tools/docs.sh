#!/usr/bin/env bash
# Builds the documentation site; a warning is an error.
#
#   bash tools/docs.sh           into docs/_build; open docs/_build/index.html
#   bash tools/docs.sh FOLDER    into another folder
set -euo pipefail

TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$TOOLS/_python.sh"
exec "$PYTHON" -m sphinx -q -W --keep-going "$ROOT/docs" "${1:-$ROOT/docs/_build}"
