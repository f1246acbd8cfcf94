#!/usr/bin/env bash
# Tests a checkpoint on a slurm cluster.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/_slurm.sh"

if (($# < 4)); then
  printf '%s\n' 'usage: [VARIABLES] bash tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [options of tools/test.py]' \
    "$SLURM_VARIABLES" >&2
  exit 2
fi
slurm_launch "$1" "$2" test.py "$3" "$4" "${@:5}"
