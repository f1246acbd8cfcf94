#!/usr/bin/env bash
# Tests a checkpoint in several processes, one a GPU; without a GPU on the CPU. See docs/training.md.
set -euo pipefail

USAGE='usage: bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of tools/test.py]
  example:          bash tools/dist_test.sh configs/retinanet_tnt_s_coco.py work_dirs/retinanet_tnt_s_coco/epoch_12.pth 8
  one machine:      PORT=29501 fixes the port (default: a free one)
  several machines: NNODES=2 NODE_RANK=0 MASTER_ADDR=host0 PORT=29500, with GPUS for each machine'

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
