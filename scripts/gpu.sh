#!/usr/bin/env bash
# Build, verify and time every back end on this machine; writes docs/gpu.md.
# For a machine that has a copy of the tree and a Python with what it has: `make gpu` on others.
#   scripts/gpu.sh [--bundle FOLDER] [--rounds N] [--batches N ...] [--page FILE]
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-}
if [ -z "$python" ]; then
  if [ -x .venv/bin/python ]; then python=.venv/bin/python; else python=$(command -v python3); fi
fi

missing=$("$python" - <<'PY'
import importlib.util
needed = {"numpy": "numpy", "onnx": "onnx", "onnxruntime": "onnxruntime",
          "pydantic": "pydantic", "jaxtyping": "jaxtyping"}
print(*(package for module, package in needed.items() if importlib.util.find_spec(module) is None))
PY
)
if [ -n "$missing" ]; then
  echo "not installed: $missing; trying pip"
  # shellcheck disable=SC2086 # a list of names
  "$python" -m pip install --quiet --disable-pip-version-check $missing ||
    { echo "without $missing nothing can run: install them, then run this again"; exit 1; }
fi

command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv ||
  echo "no nvidia-smi: without a driver only CPUs are timed"
exec "$python" -m benchmarks.gpu "$@"
