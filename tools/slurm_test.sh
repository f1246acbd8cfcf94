#!/usr/bin/env bash
# Tests a checkpoint on a slurm cluster. See docs/distributed.md.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/_slurm.sh"

USAGE="usage: [VARIABLES] bash tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [options of tools/test.py]
$SLURM_VARIABLES"

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
  printf '%s\n' "$USAGE"
  exit 0
fi
if (($# < 4)); then
  printf '%s\n' "$USAGE" >&2
  exit 2
fi
slurm_launch "$1" "$2" test.py "$3" "$4" "${@:5}"
