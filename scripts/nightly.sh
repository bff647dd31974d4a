#!/usr/bin/env bash
# The long run: everything `make test` runs, the tests again in random order, the
# linters and every fuzz target. It writes what was run, for how long and with
# what result to docs/results/nightly.md, so that anyone can repeat it. $1 is how
# long to fuzz each target.
set -uo pipefail
cd "$(dirname "$0")/.."
each=${1:?how long to fuzz each target, such as 30s}
count=${COUNT:-3}
seed=${SEED:-$(date +%s)}

mkdir -p .cache docs/results
out=docs/results/nightly.md
failed=0
rows=()

# step NAME COUNTER CMD…: runs CMD with its output in .cache, and counts what
# COUNTER, a regular expression, finds there.
step() {
	local name=$1 counter=$2 log=.cache/nightly-$1.log start=$SECONDS verdict=passed
	shift 2
	echo "nightly: $name (output in $log)"
	if ! "$@" >"$log" 2>&1; then
		verdict=FAILED
		failed=1
		tail -n 40 "$log"
	fi
	rows+=("| $name | \`$*\` | $(grep -cE "$counter" "$log") | $((SECONDS - start)) s | $verdict |")
	echo "nightly: $name $verdict after $((SECONDS - start)) s"
}

step test '^ok ' make test
step race '^ok ' make race COUNT="$count" SEED="$seed"
step lint '0 issues' make lint
step fuzz '^PASS' make fuzz FUZZTIME="$each"

# Each target reports its own running count: the last one counts.
execs=$(awk '/^== / { total += last; last = 0 }
	match($0, /execs: [0-9]+/) { last = substr($0, RSTART + 7, RLENGTH - 7) }
	END { print total + last }' .cache/nightly-fuzz.log)
{
	echo "# The last nightly run"
	echo
	echo "Made by \`make nightly COUNT=$count SEED=$seed FUZZTIME=$each\`; repeat it with the same words."
	echo
	echo "- date: $(date -u +%Y-%m-%d)"
	echo "- commit: $(git rev-parse HEAD)$(git diff --quiet HEAD -- . ':!docs/results' || echo ' with uncommitted changes')"
	echo "- machine: $(go env GOOS)/$(go env GOARCH), $(nproc) cores, $(go env GOVERSION)"
	echo "- executions of fuzz targets: $execs"
	echo
	echo "| step | command | packages, targets or reports | time | result |"
	echo "|---|---|---|---|---|"
	printf '%s\n' "${rows[@]}"
} >"$out"
cat "$out"
exit $failed
