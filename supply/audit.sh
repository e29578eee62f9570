#!/bin/sh
# Asks the database of known vulnerabilities about the packages of an environment.
# Usage: audit.sh TOOLS ENVIRONMENT      (two virtual environments)
# Exit status 0: none is known, or the database did not answer, which is said on stderr; 1: some are.
set -eu
tools=$1 environment=$2
list=$(mktemp)
answer=$(mktemp)
trap 'rm -f "$list" "$answer"' EXIT
# A local version, such as torch's +cpu, is unknown to the database.
"$environment/bin/python" -m pip freeze --exclude-editable | grep -v ' @ ' | sed 's/+[a-z0-9.]*$//' >"$list"
status=0
"$tools/bin/pip-audit" --progress-spinner off --no-deps --disable-pip --timeout 10 -r "$list" >"$answer" 2>&1 || status=$?
asked=$(wc -l <"$list")
unknown=$(grep -c 'could not be audited' "$answer" || true)
if [ "$unknown" -ge "$asked" ] || { [ "$status" != 0 ] && ! grep -q 'known vulnerabilit' "$answer"; }; then
    tail -n 3 "$answer" >&2
    echo "audit: the database did not answer, so none of $asked packages was audited; try again with a connection" >&2
    exit 0
fi
cat "$answer"
echo "audit: $((asked - unknown)) of $asked packages audited"
exit "$status"
