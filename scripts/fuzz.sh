#!/usr/bin/env bash
# Runs every fuzz target of the module, one after the other, $1 each: "30s", or
# "20000x" for a number of executions, which is the same amount on any machine.
set -euo pipefail
cd "$(dirname "$0")/.."
each=${1:?how long to fuzz each target, such as 30s or 20000x}

targets=$(grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed 's/:func /:/' | sort)
if [ -z "$targets" ]; then
	echo "fuzz: no targets" >&2
	exit 1
fi
mkdir -p .cache
fuzz() {
	go test -run '^$' -fuzz "^$2\$" -fuzztime "$each" "$(dirname "$1")" 2>&1 | tee .cache/fuzz-target.log
}
while IFS=: read -r file target; do
	echo "== $(dirname "$file") $target"
	if ! fuzz "$file" "$target"; then
		# With a time as limit Go's fuzzing engine now and then takes its own deadline
		# for a failure, without an input that fails. That target runs again.
		if ! grep -q 'context deadline exceeded' .cache/fuzz-target.log ||
			grep -q 'Failing input' .cache/fuzz-target.log; then
			exit 1
		fi
		echo "fuzz: $target was stopped by the engine's own deadline; once more"
		fuzz "$file" "$target"
	fi
done <<<"$targets"
