# Starts a Python tool of this folder on a slurm cluster; slurm_train.sh and slurm_test.sh source this file.

SLURM_VARIABLES='variables:
  GPUS            total number of processes, one per GPU (default: 8)
  GPUS_PER_NODE   number of processes per machine (default: GPUS, but at most 8)
  CPUS_PER_TASK   CPU cores per process (default: 5)
  SRUN_ARGS       more options for srun (with REQUEUE=1: for sbatch), separated by blanks
  PORT            port of the first machine (default: 29500)'

# slurm_check TOOL [ARGUMENTS OF THE TOOL ...]: mistakes are told here, not after hours in the queue
slurm_check() {
  local tool=$1
  shift
  # shellcheck source=_python.sh
  source "$(dirname "${BASH_SOURCE[0]}")/_python.sh"
  "$PYTHON" -c 'import importlib, sys
importlib.import_module(f"tnt_backbone.cli.{sys.argv[1]}").read_command_line(sys.argv[2:])' "${tool%.py}" "$@"
}

# slurm_resources PARTITION JOB_NAME: sets RESOURCES, the options that srun and sbatch share
slurm_resources() {
  local gpus=${GPUS:-8} per_node
  per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
  RESOURCES=(--partition="$1" --job-name="$2" --gres="gpu:$per_node" --ntasks="$gpus"
    --ntasks-per-node="$per_node" --cpus-per-task="${CPUS_PER_TASK:-5}")
  read -ra MORE <<< "${SRUN_ARGS:-}"
  if [[ -n ${PORT:-} ]]; then export MASTER_PORT=$PORT; fi
}

# slurm_launch PARTITION JOB_NAME TOOL [ARGUMENTS OF THE TOOL ...]
slurm_launch() {
  slurm_resources "$1" "$2"
  local tool=$3
  shift 3
  slurm_check "$tool" "$@"
  exec srun "${RESOURCES[@]}" --kill-on-bad-exit=1 ${MORE[@]+"${MORE[@]}"} \
    "$PYTHON" -u "$ROOT/tools/$tool" "$@" --launcher=slurm
}

# slurm_submit PARTITION JOB_NAME WORK_DIR [ARGUMENTS OF tools/train.py ...]: a job that comes back, see _slurm_batch.sh
slurm_submit() {
  slurm_resources "$1" "$2"
  local work_dir=$3
  shift 3
  slurm_check train.py "$@" --work-dir="$work_dir" --resume
  mkdir -p "$work_dir"
  # B: the signal goes to the batch script only. Without it, slurm sends it to every process of the steps, and it ends
  # those that do not expect it, such as a container's. 300 seconds are for the iteration at hand, and for saving.
  exec sbatch "${RESOURCES[@]}" --signal=B:USR1@300 --requeue --open-mode=append \
    --output="$work_dir/slurm-%j.log" ${MORE[@]+"${MORE[@]}"} \
    "$ROOT/tools/_slurm_batch.sh" "$ROOT" "$work_dir" "$@"
}
