# What tests/run, tests/sanitize and tests/coverage share: they source it. `$logs` is the folder of the suites' logs.
passed=0
failed=0

# Runs a command with its output in a log; one line says how it went. Sums the `N passed` and `M failed` of the lines
# that close a suite in its log; one that fails without such a line counts as one failure.
suite() {
    local name=$1 status=0 start=$SECONDS ok bad
    shift
    "$@" >"$logs/$name.log" 2>&1 || status=$?
    ok=$(closing_sum passed "$logs/$name.log")
    bad=$(closing_sum failed "$logs/$name.log")
    [ "$status" -ne 0 ] && [ "$bad" -eq 0 ] && bad=1
    passed=$((passed + ok))
    failed=$((failed + bad))
    local verdict=ok
    [ "$bad" -eq 0 ] || verdict=FAILED
    printf '%-14s %-6s %d passed, %d failed  (%d s)\n' "$name" "$verdict" "$ok" "$bad" $((SECONDS - start))
    if [ "$bad" -ne 0 ]; then
        grep -E '^(FAIL|DIFFERENCE|error|test .* FAILED|failed )|panicked at' "$logs/$name.log" | head -40 || true
        tail -5 "$logs/$name.log"
        echo "all of it: $logs/$name.log"
        return 1
    fi
}

closing_sum() {
    awk -v word="$1" '/^test result:|^[0-9]+ passed, [0-9]+ failed$/ {
        for (i = 2; i <= NF; i++) { w = $i; gsub(/[;,.]/, "", w); if (w == word) sum += $(i - 1) }
    } END { print sum + 0 }' "$2"
}

finish() {
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
    exit $?
}
