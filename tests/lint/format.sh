#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every C file is as `make format` leaves it, and no line is longer than 100 columns. TAP.
cd "${top_srcdir:-$(dirname "$0")/../..}" || exit 99
files=$(find src plugins backends tests -name '*.[ch]' | sort)
bad=0
echo 1..2
# shellcheck disable=SC2086
said=$(clang-format --dry-run -Werror $files 2>&1) || said="clang-format fails, or is not installed: $said"
odd=$(echo "$said" | sed -n 's/^\([^: ]*\):[0-9].*/\1/p' | sort -u)
[ -n "$odd" ] || odd=$said
if [ -n "$odd" ]; then
	bad=1
	echo "not ok 1 - every file is formatted: make format"
	echo "$odd" | sed 's/^/# /' | head -40
else
	echo "ok 1 - every file is formatted"
fi
# shellcheck disable=SC2086
odd=$(awk '{
	columns = 0
	n = split($0, part, "\t")
	for (k = 1; k <= n; k++) {
		columns += length(part[k])
		if (k < n)
			columns += 8 - columns % 8
	}
	if (columns > 100)
		print FILENAME ":" FNR ": " columns " columns"
}' $files)
if [ -n "$odd" ]; then
	bad=1
	echo "not ok 2 - no line is longer than 100 columns"
	echo "$odd" | sed 's/^/# /' | head -40
else
	echo "ok 2 - no line is longer than 100 columns"
fi
exit $bad
