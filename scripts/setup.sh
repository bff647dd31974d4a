#!/usr/bin/env bash
# Installs what the tests need beside Go and make: a C compiler for the race
# detector, a Java runtime and ZooKeeper's jars for the tests against a real
# server. On Debian as root it installs what is missing; elsewhere it says what
# to install. It does nothing, and quickly, where everything is there.
set -euo pipefail

jars=/usr/share/java
missing=() # Debian packages
why=()     # what each is for

if ! command -v "$(go env CC)" >/dev/null; then
	missing+=(gcc libc6-dev)
	why+=("a C compiler (gcc and the C library's headers), for go test -race")
fi
if [ "${CONCLAVE_TEST:-}" != embedded ]; then
	if ! command -v java >/dev/null; then
		missing+=(default-jre-headless)
		why+=("a Java runtime, 11 or later, for the real ZooKeeper")
	fi
	if [ -z "${CONCLAVE_ZOOKEEPER_HOME:-}" ] &&
		! { [ -e $jars/zookeeper.jar ] && [ -e $jars/slf4j-simple.jar ] &&
			[ -e $jars/netty-codec.jar ] && [ -e $jars/netty-resolver.jar ]; }; then
		missing+=(zookeeper)
		why+=("Apache ZooKeeper: Debian's package zookeeper, or a release, unpacked, with CONCLAVE_ZOOKEEPER_HOME set to its directory")
	fi
fi

if [ ${#missing[@]} -eq 0 ]; then
	echo "setup: everything is there"
	exit 0
fi

if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
	echo "setup: installing ${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -q
	# The headless runtime's set-up wants this directory, which slim images lack.
	mkdir -p /usr/share/man/man1
	apt-get install -q -y --no-install-recommends "${missing[@]}"
	exit 0
fi

{
	echo "setup: these are missing:"
	printf '  - %s\n' "${why[@]}"
	if command -v apt-get >/dev/null; then
		echo "Run 'make setup' as root, or: sudo apt-get install --no-install-recommends ${missing[*]}"
	fi
	if [ "${CONCLAVE_TEST:-}" != embedded ]; then
		echo "Or run the tests without a real ZooKeeper: make test CONCLAVE_TEST=embedded"
	fi
} >&2
exit 1
