#!/usr/bin/env bash
# soak.sh [minutes]: the long tests. For so many minutes (30 by default), in turns: every stress program under the
# address sanitizer for a minute each, the end-to-end tests of interchange with Prometheus and of bad input against the
# release server. Stops at the first failure and says where its log is.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
minutes=${1:-30}
[[ $minutes =~ ^[0-9]+$ ]] || { echo "usage: soak.sh [minutes]" >&2; exit 2; }
export NARTHEX_STRESS_SECONDS=${NARTHEX_STRESS_SECONDS:-60} PYTHONDONTWRITEBYTECODE=1
export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1
export NARTHEX=$PWD/build/release/narthex PEERS=$PWD/build/peers
end=$((SECONDS + minutes * 60)) round=0 passed=0 skipped=0
log=build/soak.log

# step <name> <command...>
step() {
    local name=$1 began=$SECONDS status
    shift
    [ "$SECONDS" -lt "$end" ] || return 0
    "$@" >"$log" 2>&1
    status=$?
    if [ "$status" -eq 77 ]; then
        skipped=$((skipped + 1))
        printf 'skipped %-32s %s\n' "$name" "$(grep -m1 SKIP "$log")"
    elif [ "$status" -ne 0 ] || grep -qE 'Sanitizer:|runtime error:' "$log"; then
        tail -n 40 "$log"
        printf 'FAILED  %-32s round %d, status %d, see %s\n' "$name" "$round" "$status" "$log"
        printf '%d passed, 1 failed\n' "$passed"
        exit 1
    else
        passed=$((passed + 1))
        printf 'ok      %-32s %d s\n' "$name" $((SECONDS - began))
    fi
}

while [ "$SECONDS" -lt "$end" ]; do
    round=$((round + 1))
    for program in build/asan/tests/stress/stress_*; do
        [ -f "$program" ] && [ -x "$program" ] && step "$(basename "$program")" "$program"
    done
    step "interchange, narthex writes" python3 tests/e2e/test_interop.py narthex
    step "interchange, prometheus writes" python3 tests/e2e/test_interop.py prometheus
    for test in bad_pages bad_input bad_files first_minute; do
        step "$test" python3 "tests/e2e/test_$test.py"
    done
done
printf '%d rounds: %d passed, 0 failed, %d skipped\n' "$round" "$passed" "$skipped"
[ "$passed" -gt 0 ]
