#!/usr/bin/env bash
# peers.sh <dir>: downloads the Debian packages of the programs we compare with and unpacks them under <dir>. Nothing is
# installed as a service. What cannot be had is named, and the tests that need it are counted as skipped.
set -uo pipefail
dir=$(realpath "$1")
packages="prometheus prometheus-alertmanager prometheus-node-exporter victoria-metrics"
missing=()

for p in $packages; do
    [ -f "$dir/$p.unpacked" ] && continue
    rm -rf "$dir/$p.deb.d"
    mkdir -p "$dir/$p.deb.d"
    if (cd "$dir/$p.deb.d" && { apt-get download -qq "$p" || { apt-get update -qq && apt-get download -qq "$p"; }; }) \
        >"$dir/$p.log" 2>&1 && dpkg-deb -x "$dir/$p.deb.d"/*.deb "$dir/$p" 2>>"$dir/$p.log"; then
        touch "$dir/$p.unpacked"
    else
        missing+=("$p")
    fi
    rm -rf "$dir/$p.deb.d"
done
[ ${#missing[@]} -eq 0 ] && exit 0
printf 'Peers that cannot be had here: %s\n' "${missing[*]}" >&2
exit 1
