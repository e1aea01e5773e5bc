#!/usr/bin/env bash
# Builds deploy/Dockerfile without a Docker engine and starts the service from it, as root on Debian or Ubuntu:
#
#   apt-get install buildah debootstrap
#   deploy/check_image.sh [SERVICE [DIRECTORY]]
#
# A debootstrapped Debian stands in for the base image, buildah runs the steps in a chroot of it. The base is kept in
# DIRECTORY (default /var/tmp/mts-image) for the next time. Not part of CI: it takes minutes and a package index.
set -euo pipefail
cd "$(dirname "$0")/.."
service=${1:-gateway}
directory=${2:-/var/tmp/mts-image}
export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs

if [[ ! -e "$directory/base/usr/bin/pip" ]]; then
    debootstrap --variant=minbase --include=python3,python3-venv,python3-pip,ca-certificates bookworm "$directory/base"
fi
# The machine's own authorities, for a package index that is reached through a proxy of the house.
cp /etc/ssl/certs/ca-certificates.crt "$directory/base/etc/ssl/certs/"

containers=()
remove() { for each in "${containers[@]}"; do buildah rm "$each" >/dev/null; done; }
trap remove EXIT

base=$(buildah from scratch)
containers+=("$base")
buildah add --quiet "$base" "$directory/base" / >/dev/null
buildah commit --quiet "$base" mts-base >/dev/null

echo "== build of $service"
buildah bud --quiet --format docker --pull-never --file deploy/Dockerfile --build-arg BASE=localhost/mts-base \
    --build-arg "SERVICE=$service" --tag "mts-$service" .
buildah inspect --type image --format '{{.Docker.Config.User}} {{.Docker.Config.Entrypoint}} {{.Docker.Config.Healthcheck.Test}} {{.Docker.Config.Labels}}' "mts-$service"

container=$(buildah from --pull-never "mts-$service")
containers+=("$container")
in_image() { buildah run "$container" -- "$@"; }

echo "== who it runs as, and whether it may write"
in_image sh -c 'id -u; if touch /opt/mts/written 2>/dev/null; then echo "may write to /opt/mts"; exit 1; fi'
echo "== what it holds"
in_image sh -c 'du -sh /opt/mts | cut -f1; ls /opt/mts/bin'
echo "== its commands"
in_image service --help
if [[ $service != metersim ]]; then
    echo "== without settings it says what is missing and fails"
    if said=$(in_image service run 2>&1); then echo "it ran without settings"; exit 1; fi
    grep -A1 '^amqp_url' <<<"$said"
    echo "== it is not healthy"
    if in_image healthcheck; then echo "healthy without running"; exit 1; fi
fi
if [[ $service == dialler ]]; then
    echo "== it runs without a broker, is not ready, and ends in order on SIGTERM"
    key=$(head -c 32 /dev/urandom | base64 | tr +/ -_)
    buildah run --env MTS_AMQP_URL=amqp://127.0.0.1:9 --env "MTS_METER_KEYS=$key" --env MTS_DRAIN_SECONDS=1 \
        --env MTS_HEALTH_PORT=18081 "$container" -- timeout --preserve-status 8 service run &
    running=$!
    until grep -q ':46A1 ' /proc/net/tcp || ! kill -0 $running 2>/dev/null; do sleep 0.2; done
    if buildah run --env MTS_HEALTH_PORT=18081 "$container" -- healthcheck; then echo "ready without a broker"; exit 1; fi
    wait $running
fi
echo "== ok"
