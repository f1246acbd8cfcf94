#!/usr/bin/env bash
# Trains in several processes, one per GPU. Without a GPU the processes run on the CPU. See docs/training.md.
set -euo pipefail

USAGE='usage: bash tools/dist_train.sh CONFIG GPUS [options of tools/train.py]
  example:          bash tools/dist_train.sh configs/retinanet_tnt_s_coco.py 8 --amp

  GPUS              number of processes on this machine, one per GPU; without a GPU they run on the CPU
  one machine:      PORT=29501 sets the port (default: a free port)
  several machines: set NNODES=2 NODE_RANK=0 MASTER_ADDR=host0 PORT=29500; GPUS counts per machine
  that come and go: NNODES=1:4 MASTER_ADDR=host0 with --resume (docs/distributed.md)'

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
  printf '%s\n' "$USAGE"
  exit 0
fi
if (($# < 2)) || [[ $1 == -* ]]; then
  printf '%s\n' "$USAGE" >&2
  exit 2
fi
source "$(dirname "${BASH_SOURCE[0]}")/_dist.sh"
dist_launch "$USAGE" train.py "$2" "$1" "${@:3}"
