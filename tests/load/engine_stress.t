#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The ownership stress must pass, and each of its three mutants must fail.
dir=${top_builddir:-.}/tests/load
echo 1..4
n=1
if out=$("$dir/engine_stress" 6 2>&1); then
	echo "ok $n - one owner at a time, nobody waits for ever"
else
	echo "not ok $n - one owner at a time, nobody waits for ever"
fi
echo "$out" | sed 's/^/# /'
for what in 'parked before the socket is armed' 'events ignored while running' \
	'the closing of the peer not noted'; do
	if "$dir/engine_stress_m$n" 120 4 >/dev/null 2>&1; then
		echo "not ok $((n + 1)) - mutant $n is caught: $what"
	else
		echo "ok $((n + 1)) - mutant $n is caught: $what"
	fi
	n=$((n + 1))
done
