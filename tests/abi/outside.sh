#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A module written outside the tree, by doc/writing-modules.md, builds against the installed files alone - as
# C11, its header also as C++ - and works. CHECK_TREE is the installed tree. TAP.
: "${top_srcdir:=.}" "${top_builddir:=.}" "${CC:=cc}" "${CXX:=c++}" "${SANITIZE:=no}"
[ -n "$CHECK_TREE" ] || { echo "CHECK_TREE is not set: run this by make check"; exit 99; }
srcdir=$(cd "$top_srcdir" && pwd) || exit 99
drive=$(cd "$top_builddir" && pwd)/tests/abi/drive
work=$(mktemp -d "${TMPDIR:-/tmp}/rst-outside.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT
cp "$srcdir/tests/abi/outside/shelf.c" "$work/" || exit 99
cd "$work" || exit 99
n=0
bad=0

# ok NAME COMMAND...: a test point; its output is shown when it fails.
ok() {
	name=$1
	shift
	n=$((n + 1))
	if "$@" >out 2>&1; then
		echo "ok $n - $name"
	else
		bad=$((bad + 1))
		echo "not ok $n - $name"
		sed 's/^/# /' out | head -40
	fi
}

# The tree is installed under another prefix than it was configured for.
pc() {
	PKG_CONFIG_PATH=$CHECK_TREE/lib/pkgconfig pkg-config --define-variable=prefix="$CHECK_TREE" \
		--define-variable=exec_prefix="$CHECK_TREE" --define-variable=libdir="$CHECK_TREE/lib" \
		--define-variable=includedir="$CHECK_TREE/include" "$@" restante-module
}
sanitize=
[ "$SANITIZE" = no ] || sanitize="-fsanitize=$SANITIZE -fno-sanitize-recover=all"

ok "pkg-config knows restante-module" pc --exists --print-errors
ok "it tells the version of the ABI" test "$(pc --variable=abi_major).$(pc --variable=abi_minor)" = \
	"$(sed -n 's/^#define PM_ABI_MAJOR \([0-9]*\)u.*/\1/p' "$CHECK_TREE/include/restante/module.h").$(
		sed -n 's/^#define PM_ABI_MINOR \([0-9]*\)u.*/\1/p' "$CHECK_TREE/include/restante/module.h")"
cflags=$(pc --cflags) libs=$(pc --libs)
case "$cflags $libs" in
*"$srcdir/plugins"*) echo "# the flags point into the source tree" && bad=1 ;;
esac

# shellcheck disable=SC2086
{
ok "the module builds as C11" $CC -std=c11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Werror -fPIC -shared \
	-fvisibility=hidden $sanitize $cflags shelf.c $libs -o shelf.so
printf '#include <restante/module.h>\nextern "C" int32_t f(const pm_call *c) { return c ? PM_OK : PM_TEMP; }\n' >m.cc
ok "the header is C++" $CXX -std=c++11 -pedantic -Wall -Wextra -Werror -c $cflags m.cc
}
nm -D --defined-only shelf.so | awk '$3 ~ /^[a-z]/ && $3 !~ /^(__|_)/ { print $3 }' >symbols
ok "it exports pm_module_v1 and nothing else" test "$(grep -v '^asan\|^sancov' symbols | tr '\n' ' ')" = "pm_module_v1 "

mkdir -p mail/ann mail/ben
printf 'Subject: one\n\nfirst\n' >mail/ann/1700000001.a
printf 'Subject: two\r\n\r\n.\r\nno end' >mail/ann/1700000002.b
printf 'Subject: three\n\n\r\n' >mail/ann/1700000003.c
printf 'hidden\n' >mail/ann/.not-a-message
ln -s /etc/passwd mail/ann/1700000004.link
chmod 755 . shelf.so
# a session died after its commit point and left this behind: .b is deleted for everybody
printf '1700000002.b\n' >mail/ann/.gone
"$drive" "$work/shelf.so" ann "path=$work/mail" >tap 2>&1
while IFS= read -r line; do
	case $line in
	"ok "* | "not ok "*)
		n=$((n + 1))
		case $line in not*) bad=$((bad + 1)) ;; esac
		echo "$line" | sed -E "s/^(ok|not ok) [0-9]+/\1 $n/"
		;;
	1..*) ;;
	*) echo "# $line" ;;
	esac
done <tap
ok "it was driven to the end" grep -q '^1\.\.' tap
ok "a deletion that was committed before a crash is finished" test ! -e mail/ann/1700000002.b
ok "and its list is gone" test ! -e mail/ann/.gone
ok "the first message was deleted, the others not" test ! -e mail/ann/1700000001.a -a -e mail/ann/1700000003.c
ok "what is no message was left alone" test -e mail/ann/.not-a-message -a -L mail/ann/1700000004.link

# The kit, as its author would run it.
mkdir -p kit
ok "it conforms, as far as a store without delivery can be asked" \
	"$CHECK_TREE/bin/restante-conform" "$work/shelf.so" "path=$work/kit"

# The text and the code are one: each C block of the document stands in shelf.c, word for word.
cat >blocks.py <<'PY'
import re, sys
text = open(sys.argv[1], encoding="utf-8").read()
code = open(sys.argv[2], encoding="utf-8").read()
blocks = re.findall(r"^```c\n(.*?)^```$", text, re.M | re.S)
wrong = [b for b in blocks if b not in code]
for b in wrong:
    print("not in shelf.c:\n" + b)
sys.exit(1 if wrong or len(blocks) < 4 else 0)
PY
ok "doc/writing-modules.md quotes the module as it is" python3 blocks.py "$srcdir/doc/writing-modules.md" shelf.c

echo "1..$n"
[ "$bad" = 0 ]
