#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every fuzz target over its kept inputs, or those named: a test point for each target. TAP.
src=${top_srcdir:-.}/tests/fuzz
build=${top_builddir:-.}/tests/fuzz
n=0
bad=0
for file in "$src"/*.c; do
	name=$(basename "$file" .c)
	[ "$name" = replay ] && continue
	case " ${*:-$name} " in *" $name "*) ;; *) continue ;; esac
	n=$((n + 1))
	# the exit status counts: leaks are reported after the last line of TAP
	if out=$("$build/$name" "$src/corpus/$name" 2>&1); then
		echo "ok $n - $name: $(printf '%s\n' "$out" | grep -c '^# ') kept inputs"
	else
		bad=1
		echo "not ok $n - $name"
		printf '%s\n' "$out" | tail -n 40 | sed 's/^/# /'
	fi
done
for dir in "$src"/corpus/*/; do
	name=$(basename "$dir")
	[ -f "$src/$name.c" ] && continue
	n=$((n + 1))
	bad=1
	echo "not ok $n - $name has inputs, and no target"
done
echo "1..$n"
exit $bad
