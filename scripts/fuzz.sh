#!/usr/bin/env bash
# fuzz.sh [seconds] [name]: builds the fuzz targets with clang's libFuzzer under the address sanitizer and runs each
# (or the one named, with or without "fuzz_") for so many seconds, 60 by default. What it learns is kept in
# build/fuzz/corpus/<target>; an input that crashes goes to build/fuzz/found/<target>-..., and from there, after the
# bug is understood, into tests/fuzz/corpus/<target>/, where every ./dev test replays it.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds=${1:-60}
only=${2:-}
[[ $seconds =~ ^[0-9]+$ ]] || { echo "usage: fuzz.sh [seconds] [name]" >&2; exit 2; }
[ -z "$only" ] || only=fuzz_${only#fuzz_}
clang=$(command -v clang-14 || command -v clang) || { echo "fuzzing needs clang" >&2; exit 1; }
dir=${FUZZ_DIR:-build/fuzz}
mkdir -p "$dir/found"

[ -f "$dir/build.ninja" ] ||
    cmake -S . -B "$dir" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DNARTHEX_TESTS=ON -DNARTHEX_FUZZ=ON \
        -DNARTHEX_SANITIZE=fuzzer-no-link,address -DCMAKE_C_COMPILER="$clang" \
        -DCMAKE_CXX_COMPILER="${clang/clang/clang++}" >"$dir.configure.log" 2>&1 ||
    { cat "$dir.configure.log" >&2; exit 1; }
echo "Building the fuzz targets ..." >&2
ninja -C "$dir" "${only:-fuzz_programs}" >"$dir.build.log" 2>&1 ||
    { grep -E 'error|FAILED|unknown target' -A6 "$dir.build.log" | head -n 40 >&2; exit 1; }

# run <target>: fresh inputs go to the first directory, the project's corpus is read only.
run() {
    local target=$1 log=$dir/$1.log dict=() units
    mkdir -p "$dir/corpus/$target"
    [ -f "tests/fuzz/$target.dict" ] && dict=("-dict=tests/fuzz/$target.dict")
    if "$dir/tests/fuzz/$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -malloc_limit_mb=1024 \
        -max_len=16384 -print_final_stats=1 -artifact_prefix="$dir/found/$target-" "${dict[@]}" \
        "$dir/corpus/$target" "tests/fuzz/corpus/$target" >"$log" 2>&1; then
        units=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        printf 'ok      %-24s %s runs\n' "$target" "$units"
    else
        printf 'FAILED  %-24s see %s\n' "$target" "$log"
        grep -E 'ERROR: |SUMMARY|Test unit written|runtime error' "$log" | head -n 5 | sed 's/^/        /'
        return 1
    fi
}

failed=0 passed=0
for source in tests/fuzz/fuzz_*.c; do
    target=$(basename "$source" .c)
    [ -z "$only" ] || [ "$only" = "$target" ] || continue
    [ -x "$dir/tests/fuzz/$target" ] || { printf 'FAILED  %-24s was not built\n' "$target"; failed=$((failed + 1)); continue; }
    if run "$target"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
