#!/bin/sh
# Keeps and brings back all that MTS stores: the schemas of its services, at one moment.
#
#   deploy/backup.sh dump FILE       into a new file, readable by its owner alone; services may run meanwhile
#   deploy/backup.sh restore FILE    into a database that deploy/postgres/init.sql has set up and that holds no table yet
#
# The database is the one that PGHOST, PGPORT, PGUSER, PGPASSWORD and PGDATABASE name, the user a superuser. Restoring is
# one transaction: all of it or nothing. Needs pg_dump, pg_restore and psql, not older than the server.
set -eu

usage() {
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

[ $# -eq 2 ] || usage
file=$2

case $1 in
dump)
    if [ -e "$file" ]; then
        echo "$file is there already" >&2
        exit 1
    fi
    umask 077
    # A dump that was cut short must not look like one.
    pg_dump --format custom --schema gateway --schema scheduler --schema results --schema results_v1 --file "$file.part"
    mv "$file.part" "$file"
    ;;
restore)
    tables=$(psql --no-psqlrc --tuples-only --no-align -c "SELECT count(*) FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
        WHERE nspname IN ('gateway', 'scheduler', 'results', 'results_v1')")
    if [ "$tables" -ne 0 ]; then
        echo "the database holds tables of MTS; restore into an empty one" >&2
        exit 1
    fi
    pg_restore --clean --if-exists --single-transaction --exit-on-error --dbname "$PGDATABASE" "$file"
    ;;
*) usage ;;
esac
