#!/bin/sh
# Makes secrets/ for compose.yaml: the administrator's token and the password of the database. Keeps what is there.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
cd secrets
for name in admin_token database_password; do
    [ -s $name ] || od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >$name
done
cp database_password database_password.postgres
# Compose shows a file to a container as it is on the host, so that the user there has to be able to read it: that of the gateway's
# image, and that of PostgreSQL's.
if [ "$(id -u)" = 0 ]; then
    chown 65532 admin_token database_password
    chown 999 database_password.postgres
else
    chmod 0644 admin_token database_password database_password.postgres
    echo "not run as root: only the folder $(pwd) keeps the other users of this machine out" >&2
fi
