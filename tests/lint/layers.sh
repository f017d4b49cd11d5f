#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Includes go in the drawn directions (doc/design.md), every header stands alone, and the contract is
# plain C11 and C++. TAP.
cd "${top_srcdir:-$(dirname "$0")/../..}" || exit 99
self=$PWD/tests/lint/layers.sh
: "${CC:=cc}" "${CXX:=c++}"
n=0
bad=0
work=$(mktemp -d "${TMPDIR:-/tmp}/rst-lint.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT

# ok NAME FILE: a test point; FILE holds what is wrong, one line each.
ok() {
	n=$((n + 1))
	if [ -s "$2" ]; then
		bad=$((bad + 1))
		echo "not ok $n - $1"
		sed 's/^/# /' "$2" | head -40
	else
		echo "ok $n - $1"
	fi
}

# includes DIR...: "file:line:name" of all quoted includes, and <restante/...> ones.
includes() {
	find "$@" -name '*.[ch]' -exec grep -HnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*("|<restante/)' {} + |
		sed -E 's/[[:space:]]*#[[:space:]]*include[[:space:]]*["<]([^">]+)[">].*/\1/' | sort
}

# layer DIR ALLOWED...: files of DIR include only DIR's own headers and those below ALLOWED.
layer() {
	dir=$1
	shift
	[ -d "src/$dir" ] || return 0
	allowed=" $dir config.h $* "
	includes "src/$dir" | while IFS=: read -r file line name; do
		case $allowed in
		*" ${name%%/*} "*) ;;
		*) echo "$file:$line: $dir may not include \"$name\"" ;;
		esac
	done >"$work/out"
	ok "src/$dir includes only:${*:+ $*}" "$work/out"
}

# The arrows, from the ground up. restante is the contract, host the loader.
layer base
layer answer
layer work base
layer net base work
layer conf base host
layer log base conf
layer module base work conf host restante
layer account base conf module host restante
layer mailbox base work conf module account host restante
layer upkeep base conf module account mailbox host restante
layer badmail answer base conf module account mailbox host restante
layer session base work net conf module restante
layer pop3 base work net conf module account mailbox upkeep session host restante
layer smtp base work net conf module account mailbox badmail session host restante
layer bind base work net conf module account mailbox upkeep host restante
layer admin answer base work net conf log module account mailbox upkeep bind host restante
layer pipe base work net conf log module account mailbox smtp bind admin host restante
layer ctl answer base net conf bind host restante
for dir in src/*/; do
	n_rooms=$((${n_rooms:-0} + 1))
done
: >"$work/out"
grep -c "^layer [a-z0-9]" "$self" | grep -qx "$n_rooms" || echo "src has $n_rooms folders: each needs its line of arrows here" >"$work/out"
ok "every folder of src has its arrows" "$work/out"

# modules NAME DIR...: the contract, the SDK and their own folder; nothing of the server or the host.
modules() {
	name=$1
	shift
	includes "$@" | while IFS=: read -r file line header; do
		case $header in
		restante/module.h | config.h) continue ;;
		esac
		own=$(dirname "$file")/$header
		case $header in
		*/*) sdk=none ;;
		*) sdk=plugins/sdk/$header ;;
		esac
		[ "${own#*/..}" = "$own" ] && [ -e "$own" ] && continue
		{ [ -e "$sdk" ] && ! grep -q "Private to the SDK" "$sdk"; } || echo "$file:$line: a module may not include \"$header\""
	done >"$work/out"
	ok "$name include the contract, the SDK and themselves" "$work/out"
}
modules "the SDK's files" plugins/sdk
modules "our modules" backends
modules "example and shim" plugins/example plugins/fault

includes plugins/host | while IFS=: read -r file line header; do
	case $header in
	restante/module.h) ;;
	*/*) echo "$file:$line: the loader may not include \"$header\"" ;;
	*) [ -e "plugins/host/$header" ] || echo "$file:$line: the loader may not include \"$header\"" ;;
	esac
done >"$work/out"
ok "the loader includes the contract and itself" "$work/out"

includes plugins/conform | while IFS=: read -r file line header; do
	case $header in
	host/answer.h | host/call.h | host/inst.h | host/load.h | host/number.h | host/thread.h | host/toolhost.h | config.h) ;;
	*) [ -e "plugins/conform/$header" ] || echo "$file:$line: the kit may not include \"$header\"" ;;
	esac
done >"$work/out"
ok "the kit includes the loader and itself" "$work/out"

includes plugins/include >"$work/out"
grep -nE '#[[:space:]]*include' plugins/include/restante/*.h | grep -vE '<(stddef|stdint)\.h>' >>"$work/out"
ok "the contract includes stddef.h and stdint.h" "$work/out"

grep -rnE '#[[:space:]]*include[[:space:]]*<sys/epoll.h>' src plugins backends | grep -v '^src/net/' >"$work/out"
ok "only net knows epoll" "$work/out"

grep -rnE '\b(dlclose)[[:space:]]*\(' src plugins backends >"$work/out"
ok "libraries are never unloaded" "$work/out"

# ---- headers stand alone -------------------------------------------------------------------------

# alone HEADER FLAG...: the compiler's messages about it.
alone() {
	header=$1
	shift
	printf '#include "%s"\n' "$PWD/$header" >"$work/alone.c"
	$CC -std=gnu17 -D_GNU_SOURCE -fsyntax-only -Wall -Wextra -Werror "$@" "$work/alone.c" 2>&1 | head -5
}
find src plugins backends -name '*.h' | sort | while read -r header; do
	case $header in
	plugins/include/*) continue ;;
	src/* | plugins/host/* | plugins/conform/*) alone "$header" -Isrc -Iplugins -Iplugins/include ;;
	*) alone "$header" -Iplugins/include -Iplugins/sdk ;;
	esac
done >"$work/out"
ok "every header compiles alone" "$work/out"

find src plugins backends tests -name '*.[ch]' | while read -r file; do
	head -n 1 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' || echo "$file"
done >"$work/out"
ok "every file begins with its licence" "$work/out"

# ---- the contract in other people's compilers ----------------------------------------------------

printf '#include <restante/module.h>\n' >"$work/m.c"
cp "$work/m.c" "$work/m.cc"
for std in c11 c17; do
	$CC -std=$std -pedantic -Wall -Wextra -Wconversion -Wpadded -Werror -fsyntax-only -Iplugins/include \
		"$work/m.c" >"$work/out" 2>&1
	ok "module.h is $std, pedantic, without hidden padding" "$work/out"
done
for std in c++11 c++17; do
	$CXX -std=$std -pedantic -Wall -Wextra -Wold-style-cast -Werror -fsyntax-only -Iplugins/include \
		"$work/m.cc" >"$work/out" 2>&1
	ok "module.h is $std" "$work/out"
done

echo "1..$n"
[ "$bad" = 0 ]
