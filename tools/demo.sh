#!/usr/bin/env bash
# Shows all steps on 2 CPU cores: makes a data set and trains a classifier, a detector that starts from the classifier's
# weights, and a segmentor that starts from the detector's weights. Tests them on held-out digits and writes a report.
set -euo pipefail

usage() {
  cat <<'EOF'
usage: bash tools/demo.sh [--work-dir DIR] [--size PX] [--train N] [--val M] [--iterations N] [--processes P] [--compare]

Makes a data set, trains a classifier, a detector and a segmentor on it, and tests them on held-out scenes.

  --work-dir    folder for data, checkpoints, logs and results (default: work_dirs/demo)
  --size        side of the scenes in pixels (default: 128); the time grows with the area
  --train       number of training scenes (default: 6000)
  --val         number of held-out scenes (default: 400)
  --iterations  training iterations per model (default: those of the configs)
  --processes   training processes (default: 2), one per GPU; without a GPU they run on the CPU
  --compare     also train the detector and the segmentor from scratch, and report the difference

The exit status is 1 if a model does not reach its threshold (docs/demo.md).
EOF
}

die() {
  printf 'ERROR: %s\nSee: bash tools/demo.sh --help\n' "$1" >&2
  exit 2
}

TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
WORK_DIR="$TOOLS/../work_dirs/demo" PROCESSES=2 COMPARE=
data_options=() train_options=()
while (($#)); do
  case "$1" in
    -h | --help) usage && exit 0 ;;
    --compare) COMPARE=1 && shift ;;
    --work-dir | --size | --train | --val | --iterations | --processes)
      (($# > 1)) && [[ -n $2 ]] || die "$1 needs a value."
      [[ $1 == --work-dir || $2 =~ ^[1-9][0-9]*$ ]] || die "$1 must be a positive integer, not \"$2\"."
      case "$1" in
        --work-dir) WORK_DIR=$2 ;;
        --processes) PROCESSES=$2 ;;
        # the schedule shrinks with the run
        --iterations) train_options=(--cfg-options "train_cfg.max_iters=$2" "param_scheduler.1.T_max=$2") ;;
        *) data_options+=("$1" "$2") ;;
      esac
      shift 2
      ;;
    *) die "Unknown option: $1." ;;
  esac
done

step() {
  printf '\n== %s\n' "$*"
}

if [[ -z ${PYTHON:-} ]]; then
  step 'environment'
  bash "$TOOLS/setup_env.sh" --keep
  PYTHON="$TOOLS/../.venv/bin/python"
fi
source "$TOOLS/_python.sh"
mkdir -p "$WORK_DIR"
WORK_DIR=$(cd "$WORK_DIR" && pwd)
export TNT_DEMO_DATA="$WORK_DIR/data/" # the configs read it
rm -rf "$WORK_DIR/scratch"             # the report must not mix in an older run
mkdir -p "$WORK_DIR"/{,scratch/}segments # MMSegmentation makes it in one process, and the other may write first
SECONDS=0

checkpoint() { # STAGE: the file that its training wrote last
  cat "$WORK_DIR/$1/train/last_checkpoint"
}

# STAGE CONFIG TEST_OPTION [TRAIN_OPTION...]: train and test. --cfg-options drops the spaces of a path, so a path in
# TEST_OPTION is relative to WORK_DIR.
run() {
  local folder="$WORK_DIR/$1" config="$ROOT/configs/$2"
  step "$1: $config, $PROCESSES processes, from minute $((SECONDS / 60)) on"
  bash "$TOOLS/dist_train.sh" "$config" "$PROCESSES" --work-dir "$folder/train" "${@:4}" "${train_options[@]}"
  step "$1: test on held-out digits"
  (cd "$WORK_DIR" && bash "$TOOLS/dist_test.sh" "$config" "$(checkpoint "$1")" "$PROCESSES" \
    --work-dir "$folder/test" ${3:+--cfg-options "$3"})
}

step "data set: $TNT_DEMO_DATA"
"$PYTHON" -m tnt_backbone.demo "$TNT_DEMO_DATA" "${data_options[@]}"

run classify tnt_digits_classifier.py ''
run detect retinanet_tnt_digits.py test_evaluator.outfile_prefix=detections --weights "$(checkpoint classify)"
run segment fpn_tnt_digits.py test_evaluator.output_dir=segments --weights "$(checkpoint detect)"
if [[ -n $COMPARE ]]; then
  run scratch/detect retinanet_tnt_digits.py test_evaluator.outfile_prefix=scratch/detections \
    --cfg-options model.backbone.frozen_stages=-1
  run scratch/segment fpn_tnt_digits.py test_evaluator.output_dir=scratch/segments \
    --cfg-options model.backbone.frozen_stages=-1 optim_wrapper.optimizer.lr=1e-3
fi

step "result, after $((SECONDS / 60)) min $((SECONDS % 60)) s (without the environment)"
"$PYTHON" -m tnt_backbone.demo.report "$WORK_DIR" "$TNT_DEMO_DATA"
