#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# without_metrics.sh BUILD: a build without libmicrohttpd reports, if a configuration wants metrics served, that it cannot
# and what to do; and it is not linked with the library.
set -eu
build=$1
dir=$(mktemp -d "${TMPDIR:-/tmp}/rst-without.XXXXXX")
trap 'rm -rf "$dir"' EXIT
printf 'config_version = 1\nmetrics {\n port = 9144\n}\n' >"$dir/restante.conf"
rc=0
"$build/restantectl" check-conf "$dir/restante.conf" >"$dir/out" 2>&1 || rc=$?
cat "$dir/out"
[ $rc = 78 ]
grep -q "restante.conf:2:1: metrics: this restante was built without libmicrohttpd and cannot serve them: leave the block out" "$dir/out"
! ldd "$build/restanted" | grep -q microhttpd
