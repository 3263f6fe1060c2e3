#!/usr/bin/env bash
# Everything that can be measured on a GPU, in one command; run it where the package and its extra [cuda] are installed:
#
#     benchmarks/gpu.sh            about 15 minutes on a large card
#
# The golden checks and all tests that need a GPU, the sanitizer on small scenes, and benchmarks/gpu.py, whose figures
# it puts into benchmarks/RESULTS.md. A part that fails is told at the end, and the others run all the same.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PYTHONSAFEPATH=1
python=${PYTHON:-python3}
failed=()

part() {
    echo "== $1"
    shift
    "$@" || failed+=("$*")
}

part "tests that need a GPU" "$python" -m pytest -q -m gpu tests
if command -v compute-sanitizer >/dev/null; then
    for tool in memcheck racecheck synccheck; do
        part "sanitizer: $tool" compute-sanitizer --tool "$tool" --error-exitcode 1 \
            "$python" benchmarks/gpu.py --small-scenes
    done
else
    echo "== sanitizer: compute-sanitizer is not installed here"
    failed+=("compute-sanitizer")
fi
part "figures" "$python" benchmarks/gpu.py --record "$@"

if ((${#failed[@]})); then
    printf 'failed: %s\n' "${failed[@]}" >&2
    exit 1
fi
