#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Functions that must not be used: unbounded, not thread-safe, or forbidden to modules by R8 of
# restante/module.h. Comments and strings are skipped. TAP.
cd "${top_srcdir:-$(dirname "$0")/../..}" || exit 99
n=0
bad=0
work=$(mktemp -d "${TMPDIR:-/tmp}/rst-lint.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT

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

# code FILE...: "file:line:text" without comments, and with empty strings.
code() {
	awk '
	FNR == 1 { inside = 0 }
	{
		out = ""; quote = ""
		for (i = 1; i <= length($0); i++) {
			c = substr($0, i, 1); two = substr($0, i, 2)
			if (inside) {
				if (two == "*/") { inside = 0; i++ }
			} else if (quote != "") {
				if (c == "\\") i++
				else if (c == quote) { quote = ""; out = out c }
			} else if (two == "/*") { inside = 1; i++ }
			else if (two == "//") break
			else {
				if (c == "\"" || c == "\047") quote = c
				out = out c
			}
		}
		print FILENAME ":" FNR ":" out
	}' "$@"
}

# banned WHAT NAMES CODE: calls of the functions named.
banned() {
	grep -E "^[^:]*:[0-9]*:(.*[^A-Za-z0-9_.>])?($2)[[:space:]]*\(" "$3" >"$work/out"
	ok "$1" "$work/out"
}

sources=$(find src plugins backends -name '*.[ch]' | sort)
# kill.h: crash points, compiled by --enable-kill-points only, leave the process by design
modules=$(find backends plugins/sdk plugins/example plugins/fault -name '*.[ch]' ! -name kill.h | sort)
# shellcheck disable=SC2086
code $sources >"$work/sources"
# shellcheck disable=SC2086
code $modules >"$work/modules"
sources=$work/sources modules=$work/modules
banned "no unbounded string functions" 'strcpy|stpcpy|strcat|sprintf|vsprintf|gets|scanf|sscanf|alloca' "$sources"
banned "no functions with static buffers" \
	'strtok|localtime|gmtime|ctime|asctime|strerror|getpwnam|getpwuid|getgrnam|gethostbyname|inet_ntoa' "$sources"
banned "no select" 'select|pselect|FD_SET|FD_ZERO|FD_ISSET' "$sources"
grep -E '[^A-Za-z0-9_]fd_set[^A-Za-z0-9_]' "$sources" >"$work/out"
ok "no fd_set" "$work/out"
banned "no shell" 'system|popen' "$sources"
banned "no numbers without errors" 'atoi|atol|atoll|atof' "$sources"
banned "no weak randomness" 'rand|srand|random|srandom|drand48|rand_r' "$sources"
banned "modules leave the process alone (R8)" \
	'setlocale|chdir|fchdir|umask|fork|vfork|exit|_exit|abort|signal|sigaction|pthread_cancel' "$modules"
banned "modules do not write to standard output (R8)" 'printf|puts|putchar|perror|vprintf' "$modules"
grep -E '[^A-Za-z0-9_](stdout|stderr)[^A-Za-z0-9_]' "$modules" >"$work/out"
ok "modules do not know stdout and stderr (R8)" "$work/out"

code $sources | grep -E '[^A-Za-z0-9_](MUTANT|RST_STRESS|UNIT_TEST)([^A-Za-z0-9_]|$)' >"$work/out"
ok "mistakes for tests are patches (tests/load/mutants)" "$work/out"

# The one loop keeps its word (session/talk.h): a protocol looks at its rings, and appends to `out`.
protocols=$(find src/pop3 src/smtp src/session -name '*.[ch]' ! -name talk.c | sort)
loops='stream_(first|turn|park|sated|flush|read|has_line|take|forget|handshake|closing|leave)'
# shellcheck disable=SC2086
{
banned "only the loop reads, flushes, parks and yields" \
	"$loops|conn_(read|write|arm|shutdown|handshake)|ring_(space|commit|data|consume|put)" $protocols
code $protocols | grep -E '[^A-Za-z0-9_](TURN_WRITE|TURN_YIELD|NEXT_(PARK|AGAIN|MORE)|io(\.|->)(scanned|turn_octets|read_done|discarding))([^A-Za-z0-9_]|$)' >"$work/out"
ok "only the loop knows how far a stream is" "$work/out"
code $protocols src/session/talk.c | grep -E '(->|[.])how([^A-Za-z0-9_]|$)' | grep -v 'log_cstr(' >"$work/out"
ok "how a session ended is a text for the log" "$work/out"
}

# The test itself: it must see a call, and nothing that only looks like one.
cat >"$work/yes.c" <<'C'
	strcpy(a, b); /* found */
C
cat >"$work/no.c" <<'C'
	/* strcpy(a, b) */ my_strcpy(a, b); log("strcpy(a)"); ops->strcpy(a); // strcpy(a)
	/* a comment over lines,
	 * strcpy(a, b) */ char c = '"'; call(c);
C
code "$work/yes.c" | grep -qE '[^A-Za-z0-9_.>]strcpy[[:space:]]*\(' || echo 'a call is not seen' >"$work/out"
code "$work/no.c" | grep -E '[^A-Za-z0-9_.>]strcpy[[:space:]]*\(' >>"$work/out"
ok "this test sees calls, not comments and texts" "$work/out"

echo "1..$n"
[ "$bad" = 0 ]
