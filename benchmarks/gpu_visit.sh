#!/usr/bin/env bash
# Everything that needs a machine with a GPU: build the kernels, test them, check them with compute-sanitizer,
# measure them. The output is kept in benchmarks/results/<device>/, one file per step.
#
#     benchmarks/gpu_visit.sh [build] [test] [memcheck] [racecheck] [measure]    (default: all)
#
# PYTHON names the interpreter if it is not that of .venv. A step that fails does not stop the others.
set -uo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-.venv/bin/python}

device=$("$PYTHON" -c 'import torch; print(torch.cuda.get_device_name())') || exit 2
results="benchmarks/results/${device// /-}"
mkdir -p "$results"
failed=()

# step NAME COMMAND…: run a command and keep its output.
step() {
  local name=$1
  shift
  echo "== $name: $*"
  { echo "\$ $*"; "$@"; } 2>&1 | tee "$results/$name.txt"
  if [ "${PIPESTATUS[0]}" != 0 ]; then failed+=("$name"); fi
}

describe() {
  git describe --always --dirty || echo "revision unknown"
  local what=name,driver_version,memory.total,clocks.max.sm,clocks.max.mem,power.limit
  nvidia-smi --query-gpu="$what" --format=csv
}

build() {
  step machine describe
  step doctor "$PYTHON" -m morphoscope.apps doctor
}

run_tests() {
  step tests "$PYTHON" -m pytest tests/ops tests/generate -m "not slow" -q
}

# The tools slow kernels down a hundredfold, so only every operation and its gradient in float32 and float16.
# Without torch's memory cache, each tensor has its own bounds.
sanitize() {
  if ! command -v compute-sanitizer >/dev/null; then
    echo "== $1: skipped, because compute-sanitizer is not installed"
    return
  fi
  PYTORCH_NO_CUDA_MEMORY_CACHING=1 step "$1" compute-sanitizer --tool "$1" --error-exitcode 1 \
    "$PYTHON" -m pytest tests/ops/cuda/test_on_gpu.py -q -k "as_in_the_reference and (dtype0 or dtype2)"
}

measure() {
  step ops "$PYTHON" benchmarks/ops.py --device cuda
  for batch in 1 16; do
    step "synthesis-256-batch-$batch" "$PYTHON" benchmarks/synthesis.py --device cuda --batch "$batch"
  done
  step training-256 "$PYTHON" benchmarks/training.py --device cuda --resolution 256 --auto
  step training-precision-128 "$PYTHON" benchmarks/training_precision.py --resolution 128
  step classifier-step "$PYTHON" benchmarks/classifier_step.py --device cuda
  step classifier-loading "$PYTHON" benchmarks/classifier_loading.py --resolution 448 --transforms paper
}

if [ $# = 0 ]; then set -- build test memcheck racecheck measure; fi
for name; do
  case $name in
    build | measure) "$name" ;;
    test) run_tests ;;
    memcheck | racecheck) sanitize "$name" ;;
    *) echo "Unknown step '$name'." >&2; exit 2 ;;
  esac
done
if [ ${#failed[@]} -gt 0 ]; then
  echo "Failed: ${failed[*]}" >&2
  exit 1
fi
