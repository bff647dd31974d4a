#!/usr/bin/env bash
# Runs every fuzz target of the module, one after the other, $1 each: "30s".
set -euo pipefail
cd "$(dirname "$0")/.."
each=${1:?how long to fuzz each target, such as 30s}

targets=$(grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed 's/:func /:/' | sort)
if [ -z "$targets" ]; then
	echo "fuzz: no targets" >&2
	exit 1
fi
while IFS=: read -r file target; do
	echo "== $(dirname "$file") $target"
	go test -run '^$' -fuzz "^$target\$" -fuzztime "$each" "$(dirname "$file")"
done <<<"$targets"
