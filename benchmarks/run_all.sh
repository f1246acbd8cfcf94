#!/usr/bin/env bash
# The main tables and plots of docs/performance.md, measured on this machine.
#
#   bash benchmarks/run_all.sh [DIR]      tables as DIR/*.md, plots as DIR/*.png (default work_dirs/benchmarks)
#
# On a GPU the batches are larger and precisions lower, as in the targets.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
OUT=${1:-$ROOT/work_dirs/benchmarks}
PYTHON=${PYTHON:-$ROOT/.venv/bin/python}
mkdir -p "$OUT"

DEVICE=$("$PYTHON" -c 'import torch; print("cuda" if torch.cuda.is_available() else "cpu")')
MODELS=(
  timm:deit_small_patch16_224 TNT:s timm:tnt_s_patch16_224 mmpretrain:tnt-small-p16_3rdparty_in1k PyramidTNT:s
  T2TViT:14 T2TViT:t-14 mmpretrain:t2t-vit-t-14_8xb64_in1k timm:swin_tiny_patch4_window7_224 timm:resnet50
)
if [[ $DEVICE == cuda ]]; then
  MODELS+=("TNT:s+inner_backend='reference'")
  THROUGHPUT=(--batch 256 --dtypes bfloat16 float16 --ways eager compiled --rounds 20)
  INNER_BLOCK=(--sentences 50176 --dtype bfloat16)
  BATCHES=(1 4 16 64 256)
  DETECTOR=(--batch 2 --dtype bfloat16 --rounds 5)
else
  THROUGHPUT=(--batch 4 --dtypes float32 bfloat16 --rounds 12)
  INNER_BLOCK=()
  BATCHES=(1 2 4 8 16)
  DETECTOR=()
fi

run() { # NAME BENCHMARK [ARGUMENT]...: a table that failed does not end the others
  local name=$1
  shift
  printf '== %s\n' "$*"
  "$PYTHON" "$ROOT/benchmarks/$1" "${@:2}" 2> "$OUT/$name.log" | tee "$OUT/$name.md" || FAILED+=" $name"
}

FAILED=
run throughput throughput.py "${MODELS[@]}" "${THROUGHPUT[@]}" --plot "$OUT/throughput.png"
run inner_block inner_block.py "${INNER_BLOCK[@]}"
run large_images memory.py TNT:s TNT:s+window_size=14 PyramidTNT:s T2TViT:14 T2TViT:t-14 --backward
run growth scaling.py "${MODELS[0]}" TNT:s TNT:s+window_size=14 --device "$DEVICE" --plot "$OUT/growth.png"
run growth_batch scaling.py "${MODELS[0]}" TNT:s PyramidTNT:s --batches "${BATCHES[@]}" --backward --device "$DEVICE" \
  --plot "$OUT/growth_batch.png"
run detectors detector.py "${DETECTOR[@]}"
run memory_plan memory_plan.py
run startup startup.py
if [[ -n $FAILED ]]; then
  printf 'failed:%s; see %s/NAME.log\n' "$FAILED" "$OUT" >&2
  exit 1
fi
printf 'tables and plots: %s\n' "$OUT"
