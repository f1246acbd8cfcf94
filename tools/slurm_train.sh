#!/usr/bin/env bash
# Trains on a slurm cluster. See docs/distributed.md.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/_slurm.sh"

USAGE="usage: [VARIABLES] bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [options of tools/train.py]
  example:        GPUS=16 bash tools/slurm_train.sh gpu tnt configs/retinanet_tnt_s_coco.py work_dirs/tnt --amp
$SLURM_VARIABLES
  REQUEUE         1: submit a job that ends in order before its time limit, goes back into the queue and resumes"

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
  printf '%s\n' "$USAGE"
  exit 0
fi
if (($# < 4)); then
  printf '%s\n' "$USAGE" >&2
  exit 2
fi
if [[ ${REQUEUE:-0} == 0 ]]; then slurm_launch "$1" "$2" train.py "$3" --work-dir="$4" "${@:5}"; fi
for option in "${@:5}"; do
  if [[ $option == --resume* ]]; then
    printf 'ERROR: with REQUEUE=1 every start resumes from the last checkpoint in WORK_DIR; leave %s out\n' "$option" >&2
    exit 2
  fi
done
slurm_submit "$1" "$2" "$4" "$3" "${@:5}"
