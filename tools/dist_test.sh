#!/usr/bin/env bash
# Tests a checkpoint in several processes, one per GPU. Without a GPU the processes run on the CPU. See docs/training.md.
set -euo pipefail

USAGE='usage: bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of tools/test.py]
  example:          bash tools/dist_test.sh configs/retinanet_tnt_s_coco.py work_dirs/retinanet_tnt_s_coco/epoch_12.pth 8

  GPUS              number of processes on this machine, one per GPU; without a GPU they run on the CPU
  one machine:      PORT=29501 sets the port (default: a free port)
  several machines: set NNODES=2 NODE_RANK=0 MASTER_ADDR=host0 PORT=29500; GPUS counts per machine'

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
  printf '%s\n' "$USAGE"
  exit 0
fi
if (($# < 3)) || [[ $1 == -* ]]; then
  printf '%s\n' "$USAGE" >&2
  exit 2
fi
source "$(dirname "${BASH_SOURCE[0]}")/_dist.sh"
dist_launch "$USAGE" test.py "$3" "$1" "$2" "${@:4}"
