#!/usr/bin/env bash
# Runs the tests of every built preset and adds them up. Closes with "N passed, N failed" (and the skipped ones).
# With a pattern (a regular expression of ctest) only the tests whose names match.
set -uo pipefail
pattern=${1:-.}
passed=0 failed=0 skipped=0
failures=()

# run_preset <preset> <extra ctest arguments...>
run_preset() {
    local preset=$1 log
    shift
    log=build/$preset.test.log
    printf '== %s\n' "$preset"
    ctest --test-dir "build/$preset" -R "$pattern" --output-on-failure -j 2 --timeout 900 "$@" >"$log" 2>&1
    # What a test says of itself (cases passed, cases skipped) is worth seeing on a green run too.
    grep -hE '^[0-9 ]+/[0-9]+ Test|SKIP|skipped' "$log" | sed 's/^/  /' | grep -vE 'Passed' || true
    passed=$((passed + $(grep -cE 'Test +#[0-9]+:.* Passed ' "$log")))
    skipped=$((skipped + $(grep -cE 'Test +#[0-9]+:.*\*\*\*Skipped' "$log")))
    local bad
    bad=$(grep -E 'Test +#[0-9]+:.*\*\*\*(Failed|Timeout|Exception|Not Run|Could not)|Test +#[0-9]+:.*Failed ' "$log" | grep -vcE '\*\*\*Skipped')
    failed=$((failed + bad))
    if [ "$bad" -gt 0 ]; then
        failures+=("$preset: see $log")
        # The failing tests' own words.
        grep -vE ' Passed ' "$log" | tail -n 120
    fi
}

export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
start=$SECONDS
run_preset debug
run_preset asan
run_preset tsan -L stress
printf 'Tests took %d s.\n' $((SECONDS - start))
for f in "${failures[@]+"${failures[@]}"}"; do
    printf 'FAILED %s\n' "$f"
done
if [ "$skipped" -gt 0 ]; then
    printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
else
    printf '%d passed, %d failed\n' "$passed" "$failed"
fi
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
