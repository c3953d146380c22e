#!/bin/sh
# Writes .env from .env.example, with a fresh password wherever compose.yaml needs one.
# Never overwrites: the passwords inside the database volumes would no longer fit.
set -eu
cd "$(dirname "$0")/.."
if [ -e .env ]; then
    echo ".env exists already; delete it first if no container uses its passwords." >&2
    exit 1
fi
umask 077
passwords=
while IFS= read -r line; do
    case $line in
        "# Passwords"*) passwords=yes ;;
        *=) if [ -n "$passwords" ]; then line="$line$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')"; fi ;;
    esac
    printf '%s\n' "$line"
done <.env.example >.env
echo "Wrote .env with fresh passwords, readable by you alone."
