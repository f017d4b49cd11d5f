#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every C file is as `make format` leaves it, and no line is longer than 100 columns. TAP.
cd "${top_srcdir:-$(dirname "$0")/../..}" || exit 99
files=$(find src plugins backends tests -name '*.[ch]' | sort)
bad=0
echo 1..2
# shellcheck disable=SC2086
odd=$(clang-format --dry-run -Werror $files 2>&1 | sed -n 's/^\([^:]*\):.*/\1/p' | sort -u)
# shellcheck disable=SC2086
[ -n "$odd" ] || clang-format --dry-run -Werror $files >/dev/null 2>&1 || odd="clang-format fails, or is not installed"
if [ -n "$odd" ]; then
	bad=1
	echo "not ok 1 - every file is formatted: make format"
	echo "$odd" | sed 's/^/# /' | head -40
else
	echo "ok 1 - every file is formatted"
fi
# shellcheck disable=SC2086
odd=$(for f in $files; do expand -t8 "$f" | awk -v f="$f" 'length > 100 { print f ":" NR ": " length " columns" }'; done)
if [ -n "$odd" ]; then
	bad=1
	echo "not ok 2 - no line is longer than 100 columns"
	echo "$odd" | sed 's/^/# /' | head -40
else
	echo "ok 2 - no line is longer than 100 columns"
fi
exit $bad
