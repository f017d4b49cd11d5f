#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The layout of the contract is the one that was recorded (x86-64, the reference platform; elsewhere the header's
# own assertions hold it). TAP.
#
#   layout.sh            compares
#   layout.sh --record   records anew: only together with plugins/ABI.md, the kit and the ram module
: "${top_srcdir:=$(dirname "$0")/../..}"
dir=$top_srcdir/tests/abi
work=$(mktemp -d "${TMPDIR:-/tmp}/rst-abi.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT
n=0
bad=0

ok() {
	name=$1
	shift
	n=$((n + 1))
	if "$@" >"$work/out" 2>&1; then
		echo "ok $n - $name"
	else
		bad=$((bad + 1))
		echo "not ok $n - $name"
		sed 's/^/# /' "$work/out" | head -60
	fi
}

# gcc always: another compiler's debugging information spells some types in another way
build() {
	gcc -std=c11 -g -O0 -fPIC -shared -fvisibility=hidden -Wall -Wextra -Werror \
		-I"$1" "$dir/layout.c" -o "$2"
}
record() {
	abidw --no-corpus-path --no-comp-dir-path --no-show-locs --no-elf-needed --out-file "$2" "$1"
}
compare() {
	abidiff --no-added-syms --harmless "$1" "$2"
}

build "$top_srcdir/plugins/include" "$work/layout.so" || exit 99
if [ "$1" = --record ]; then
	record "$work/layout.so" "$dir/layout.abi"
	exit
fi
if [ "$(uname -m)" != x86_64 ]; then
	ok "the header's own assertions hold on $(uname -m)" test -e "$work/layout.so"
	echo 1..1
	exit
fi
ok "the layout is the recorded one" compare "$dir/layout.abi" "$work/layout.so"

# The comparison must notice a field in the middle, another type, a field at the end.
mutant() {
	mkdir -p "$work/$1/restante"
	sed -e "$2" -e '/^PM_ASSERT_SIZE(/d' "$top_srcdir/plugins/include/restante/module.h" \
		>"$work/$1/restante/module.h"
	build "$work/$1" "$work/$1.so" && ! compare "$dir/layout.abi" "$work/$1.so"
}
ok "it sees a field in the middle" mutant middle \
	's/^\tuint64_t quota_msgs;/\tuint64_t quota_msgs;\n\tuint64_t new_one;/'
ok "it sees another type of the same size" mutant type 's/^\tint64_t deadline_ms;/\tuint64_t deadline_ms;/'
ok "it sees a method that takes something else" mutant method \
	's/uint64_t index, void \*\*ret_msg/uint32_t index, void **ret_msg/'
ok "it sees a field at the end" mutant end 's/^\tconst struct pm_attr \*attr;/\tconst struct pm_attr *attr;\n\tuint64_t new_one;/'
echo "1..$n"
[ "$bad" = 0 ]
