# Starts a Python tool of this folder in several processes; dist_train.sh and dist_test.sh source this file.

# dist_launch USAGE TOOL PROCESSES [ARGUMENTS OF THE TOOL ...]
dist_launch() {
  local usage=$1 tool=$2 processes=$3
  shift 3
  if ! [[ $processes =~ ^[1-9][0-9]*$ ]]; then
    printf 'ERROR: the number of processes must be a positive integer, not "%s"\n%s\n' "$processes" "$usage" >&2
    exit 2
  fi
  # shellcheck source=_python.sh
  source "$(dirname "${BASH_SOURCE[0]}")/_python.sh"
  # exec: Ctrl-C and kill reach the process that ends all others
  exec "$PYTHON" "$ROOT/tools/_torchrun.py" "$ROOT/tools/$tool" "$processes" "$@"
}
