#!/bin/sh
# Gets programs from Debian without installing them: unpacks the packages, and what they depend on
# that is not installed, in build/hosts/debian. So no daemon is started, here or at the next boot, no
# user is added, and root is not needed. What cannot be had is skipped, with a message.
#
#   spec/hosts/unpack.sh PACKAGE…
set -eu
cd "$(dirname "$0")/../.."
mkdir -p build/hosts/debian build/hosts/archives/partial
root=$PWD/build/hosts/debian
archives=$PWD/build/hosts/archives

command -v apt-get >/dev/null || {
  echo "hosts: skipped, this is no Debian: $*" >&2
  exit 0
}

# The packages that apt would install for $1, one a line.
wanted() {
  apt-get install --simulate --reinstall --no-install-recommends "$1" 2>/dev/null |
    sed -n 's/^Inst \([^ ]*\) .*/\1/p'
}

for package; do
  [ -e "$root/.$package" ] && continue
  if names=$(wanted "$package") && [ -n "$names" ] &&
    (cd "$archives" && apt-get download -qq $names >log 2>&1); then
    for archive in "$archives"/*.deb; do dpkg-deb --extract "$archive" "$root"; done
    touch "$root/.$package"
  else
    echo "hosts: $package cannot be had" >&2
  fi
  rm -rf "$archives"/*
done
