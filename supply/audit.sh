#!/bin/sh
# Asks the database of known vulnerabilities about the installed packages.
# Usage: audit.sh TOOLS ENVIRONMENT      (two virtual environments)
# Exit status 0: none is known, or there was no answer, which is said; 1: some are.
set -eu
tools=$1 environment=$2
list=$(mktemp)
answer=$(mktemp)
trap 'rm -f "$list" "$answer"' EXIT
# torch's local version, such as +cpu, is unknown to the database.
"$environment/bin/python" -m pip freeze --exclude-editable | sed 's/+[a-z0-9.]*$//' | grep -v ' @ ' >"$list"
status=0
"$tools/bin/pip-audit" --progress-spinner off --no-deps --disable-pip --timeout 10 -r "$list" >"$answer" 2>&1 || status=$?
cat "$answer"
if [ "$status" != 0 ] && ! grep -q 'known vulnerabilit' "$answer"; then
    echo "audit: no answer from the database, so nothing was audited; try again with a connection" >&2
    exit 0
fi
exit "$status"
