#!/usr/bin/env bash
# Trains in several processes, one a GPU; without a GPU on the CPU. See docs/training.md.
set -euo pipefail

USAGE='usage: bash tools/dist_train.sh CONFIG GPUS [options of tools/train.py]
  example:          bash tools/dist_train.sh configs/retinanet_tnt_s_coco.py 8 --amp
  one machine:      PORT=29501 fixes the port (default: a free one)
  several machines: NNODES=2 NODE_RANK=0 MASTER_ADDR=host0 PORT=29500, with GPUS for each machine'

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
