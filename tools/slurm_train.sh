#!/usr/bin/env bash
# Trains on a slurm cluster.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/_slurm.sh"

if (($# < 4)); then
  printf '%s\n' 'usage: [VARIABLES] bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [options of tools/train.py]' \
    "$SLURM_VARIABLES" >&2
  exit 2
fi
slurm_launch "$1" "$2" train.py "$3" --work-dir="$4" "${@:5}"
