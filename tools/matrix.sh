#!/usr/bin/env bash
# Runs the tests in one environment per supported Python, stack and torch, one after the other.
set -euo pipefail

usage() {
  cat <<'USAGE'
usage: bash tools/matrix.sh FOLDER [--only NAME]... [--room PATH]... [--quick] [--no-compile]

  FOLDER   holds a clone and an environment per row (5 GB each), the logs, and results.csv. The same command goes on
           after the rooms that are in results.csv for this commit, whether they passed or not.
  --only   a row of the table in this script: py311, py312, py313, onedl, torch-new
  --room   a folder or file of tests, such as tests/layers; default: all
  --quick  only the rooms that the libraries' versions touch first
  --no-compile  mmcv's operators from torch and torchvision, as in setup_env.sh; not for onedl

The committed files are tested, so commit first. At low priority:  chrt -i 0 bash tools/matrix.sh FOLDER
USAGE
}

#     name      stack      Python  torch and torchvision, where they are not those of requirements/pins.txt
ROWS='py311     openmmlab  3.11
      onedl     onedl      3.11
      torch-new openmmlab  3.11    2.15.0 0.29.2
      py312     openmmlab  3.12
      py313     openmmlab  3.13'
# These compare what is installed with requirements/pins.txt, so a row with another torch leaves them out.
OF_THE_PINS=(tests/doctor/test_packages.py::test_the_versions_that_were_tried_are_those_of_the_pins
             tests/tools/test_setup_env.py::test_every_installed_distribution_is_pinned)
QUICK=(tests/test_private_names.py tests/layers tests/backbones tests/test_contract.py tests/test_registry.py tests/checkpoints tests/engine)

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
ONLY=() ROOMS=() SETUP=() FOLDER=''
while (($#)); do
  case "$1" in
    -h | --help) usage && exit 0 ;;
    --no-compile) SETUP+=(--no-compile) && shift ;;
    --quick) ROOMS+=("${QUICK[@]}") && shift ;;
    --only) ONLY+=("${2:?--only needs a name}") && shift 2 ;;
    --room) ROOMS+=("${2:?--room needs a path}") && shift 2 ;;
    -*) printf 'ERROR: unknown option %s\n' "$1" >&2 && usage >&2 && exit 2 ;;
    *) FOLDER=$1 && shift ;;
  esac
done
if [[ -z $FOLDER ]]; then usage >&2 && exit 2; fi
for name in ${ONLY[@]+"${ONLY[@]}"}; do
  grep -qE "^ *$name " <<< "$ROWS" || { printf 'ERROR: no row %s\n%s\n' "$name" "$ROWS" >&2 && exit 2; }
done
mkdir -p "$FOLDER"
FOLDER=$(realpath "$FOLDER") RESULTS=$(realpath "$FOLDER")/results.csv
COMMIT=$(git -C "$ROOT" rev-parse --short=10 HEAD)
if ((${#ROOMS[@]} == 0)); then
  mapfile -t ROOMS < <(cd "$ROOT" && git ls-files 'tests/**/test_*.py' 'tests/test_*.py' |
    sed -E 's|^(tests/[^/]+)/.*|\1|' | sort -u)
fi
[[ -f $RESULTS ]] || echo 'environment,commit,room,tests,failed,errors,skipped,seconds,status,versions' > "$RESULTS"

find_python() { # VERSION
  local exe
  for exe in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/python; do
    if "$exe" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" 2>/dev/null; then
      "$exe" -c 'import sys; print(sys.executable)' && return
    fi
  done
  return 1
}

make_clone() { # NAME [TORCH TORCHVISION]: this commit, with its environment kept
  local clone=$FOLDER/$1
  [[ -d $clone/.git ]] || git clone --quiet --shared --no-checkout "$ROOT" "$clone"
  git -C "$clone" fetch --quiet "$ROOT" HEAD
  git -C "$clone" checkout --quiet --force --detach FETCH_HEAD
  if [[ -n ${2:-} ]]; then # another torch brings other libraries of CUDA
    sed -i -E "/^(nvidia|cuda|triton)/d; s/^torch==.*/torch==$2/; s/^torchvision==.*/torchvision==$3/" "$clone/requirements/pins.txt"
  fi
}

count() { # JUNIT_FILE: tests,failed,errors,skipped,seconds
  "$PYTHON" - "$1" <<'PYTHON_CODE'
import sys, xml.etree.ElementTree as tree

try:
    suite = next(tree.parse(sys.argv[1]).iter('testsuite'))
    print(*(suite.get(key) for key in ('tests', 'failures', 'errors', 'skipped')), round(float(suite.get('time'))), sep=',')
except (OSError, tree.ParseError):
    print(',,,,')
PYTHON_CODE
}

run_rooms() { # NAME [TORCH]
  local clone=$FOLDER/$1 room log status versions left_out=()
  if [[ -n ${2:-} ]]; then left_out=("${OF_THE_PINS[@]/#/--deselect=}"); fi
  versions=$("$PYTHON" -c 'import importlib.metadata as m, platform
names = ["torch", "torchvision", "numpy"] + sorted({d.name for d in m.distributions() if d.name and "mm" in d.name and "lite" not in d.name
    and d.name.removeprefix("onedl-") in ("mmcv", "mmengine", "mmdet", "mmdetection", "mmsegmentation", "mmpretrain")})
print("Python", platform.python_version(), *(f"{n} {m.version(n)}" for n in names))')
  for room in "${ROOMS[@]}"; do
    if grep -q "^$1,$COMMIT,$room," "$RESULTS"; then continue; fi
    log=$FOLDER/logs/$1/${room//\//_}
    mkdir -p "$(dirname "$log")"
    rm -f "$log.xml"
    status=0
    (cd "$clone" && OMP_NUM_THREADS=1 PYTHON=$PYTHON "$PYTHON" -m pytest -q --junitxml="$log.xml" ${left_out[@]+"${left_out[@]}"} "$room" > "$log.log" 2>&1) || status=$?
    echo "$1,$COMMIT,$room,$(count "$log.xml"),$status,$versions" >> "$RESULTS"
    printf '%s  %-10s %-28s %s\n' "$(date +%H:%M)" "$1" "$room" "$(tail -n 1 "$log.log")"
  done
}

worst=0
while read -r name stack version torch torchvision; do
  if ((${#ONLY[@]})) && [[ " ${ONLY[*]} " != *" $name "* ]]; then continue; fi
  if ! exe=$(find_python "$version"); then
    printf '%s: no Python %s here; left out\n' "$name" "$version" && worst=1 && continue
  fi
  make_clone "$name" "$torch" "$torchvision"
  PYTHON=$FOLDER/$name/.venv$([[ $stack == openmmlab ]] || echo "-$stack")/bin/python
  mkdir -p "$FOLDER/logs/$name"
  if ! bash "$FOLDER/$name/tools/setup_env.sh" --stack "$stack" --python "$exe" ${SETUP[@]+"${SETUP[@]}"} > "$FOLDER/logs/$name/setup.log" 2>&1; then
    printf '%s: the environment could not be made:\n' "$name" && tail -n 5 "$FOLDER/logs/$name/setup.log" && worst=1
    echo "$name,$COMMIT,set-up,,,,,,1," >> "$RESULTS"
    continue
  fi
  run_rooms "$name" "$torch" < /dev/null
done <<< "$ROWS"
printf 'Results: %s\n' "$RESULTS"
awk -F, -v commit="$COMMIT" '$2 == commit && $9 != 0 && $9 != 5 {print "failed: " $1, $3; bad = 1} END {exit bad}' "$RESULTS" || worst=1
exit $worst
