#!/usr/bin/env bash
# Shows the whole way in about a quarter of an hour on 2 cores: makes a data set, trains a detector from scratch
# in two processes, evaluates it on digits it has never seen, and reports.
set -euo pipefail

usage() {
  cat <<'EOF'
usage: bash tools/demo.sh [--work-dir DIR] [--size PX] [--train N] [--val M] [--iterations N] [--processes P]

  --work-dir    where data, checkpoints, logs and results go (default work_dirs/demo)
  --size        side of the scenes in pixels (default 128); the time grows with the area
  --train       scenes to train on (default 6000)
  --val         held-out scenes (default 400)
  --iterations  training iterations (default: those of configs/retinanet_tnt_digits.py)
  --processes   training processes (default 2): GPUs, or on a machine without one, processes on the CPU

It ends with exit status 1 if the detector is not as good as the demo promises.
EOF
}

die() {
  printf 'ERROR: %s\nSee: bash tools/demo.sh --help\n' "$1" >&2
  exit 2
}

TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
WORK_DIR="$TOOLS/../work_dirs/demo" PROCESSES=2
data_options=() train_options=()
while (($#)); do
  case "$1" in
    -h | --help) usage && exit 0 ;;
    --work-dir | --size | --train | --val | --iterations | --processes)
      (($# > 1)) && [[ -n $2 ]] || die "$1 needs a value"
      [[ $1 == --work-dir || $2 =~ ^[1-9][0-9]*$ ]] || die "$1 $2: not a positive whole number"
      case "$1" in
        --work-dir) WORK_DIR=$2 ;;
        --processes) PROCESSES=$2 ;;
        # the schedule shrinks with the run
        --iterations) train_options=(--cfg-options "train_cfg.max_iters=$2" "param_scheduler.1.T_max=$2") ;;
        *) data_options+=("$1" "$2") ;;
      esac
      shift 2
      ;;
    *) die "unknown option: $1" ;;
  esac
done

step() {
  printf '\n== %s\n' "$*"
}

if [[ -z ${PYTHON:-} ]]; then
  step 'environment'
  bash "$TOOLS/setup_env.sh"
  PYTHON="$TOOLS/../.venv/bin/python"
fi
source "$TOOLS/_python.sh"
mkdir -p "$WORK_DIR"
WORK_DIR=$(cd "$WORK_DIR" && pwd)
CONFIG="$ROOT/configs/retinanet_tnt_digits.py"
export TNT_DEMO_DATA="$WORK_DIR/data/" # the config reads it
SECONDS=0

step "data set: $TNT_DEMO_DATA"
"$PYTHON" -m tnt_backbone.demo "$TNT_DEMO_DATA" "${data_options[@]}"

step "training in $PROCESSES processes: $WORK_DIR/train"
bash "$TOOLS/dist_train.sh" "$CONFIG" "$PROCESSES" --work-dir "$WORK_DIR/train" "${train_options[@]}"

step 'evaluation on held-out digits'
cd "$WORK_DIR" # --cfg-options drops the spaces of a path, so outfile_prefix must be relative
bash "$TOOLS/dist_test.sh" "$CONFIG" "$(< "$WORK_DIR/train/last_checkpoint")" "$PROCESSES" \
  --work-dir "$WORK_DIR/test" --cfg-options test_evaluator.outfile_prefix=detections

step "result, after $((SECONDS / 60)) min $((SECONDS % 60)) s (without the environment)"
"$PYTHON" -m tnt_backbone.demo.report "$WORK_DIR" "$TNT_DEMO_DATA"
