#!/bin/sh
# Runs init.sql as the superuser of PGHOST, PGUSER, PGPASSWORD and PGDATABASE, with the roles' passwords from the
# environment. Can be repeated: passwords that have changed are set.
set -eu
exec psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 \
    -v gateway_password="$GATEWAY_DB_PASSWORD" \
    -v scheduler_password="$SCHEDULER_DB_PASSWORD" \
    -v results_password="$RESULTS_DB_PASSWORD" \
    -f "$(dirname "$0")/init.sql"
