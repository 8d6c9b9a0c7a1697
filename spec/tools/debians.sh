#!/usr/bin/env bash
# Runs README's commands in a fresh, minimal Debian of each suite (make debians), on what is
# committed, and prints a table.
#
#   spec/tools/debians.sh [SUITE…]           bookworm, trixie and sid, when none is named
#   TARGETS="demo test"                      the targets of the Makefile
#   exit status: 0 all passed, 1 something failed, 3 a system could not be made
#
# Needs root, debootstrap and a Debian whose apt knows a mirror. The chroots live in namespaces of
# their own: whatever happens, no mount and no process outlives them. build/debians/ keeps the
# packages, each suite's log, and for a day the bare systems.
set -eu -o pipefail

suites=${*:-bookworm trixie sid}
targets=${TARGETS:-demo test}

cd "$(dirname "$0")/../.."
mkdir -p build/debians
work=$PWD/build/debians
source=$PWD

fail() {
  echo "debians: $*" >&2
  exit 3
}

[ "$(id -u)" = 0 ] || fail "needs root, for the chroots"
command -v debootstrap unshare >/dev/null || fail "needs debootstrap: apt-get install debootstrap"

# Where this machine's own packages come from.
mirror=$(apt-get indextargets --format '$(SITE)' \
  'Created-By: Packages' 'Origin: Debian' 'Label: Debian' 'Component: main' | sed 1q)
[ -n "$mirror" ] || fail "apt knows no mirror of Debian's: run apt-get update"

# The bare system, with the two programs that README asks for.
bootstrap() {
  local suite=$1 root
  if [ -z "$(find "$work/$suite.tar" -mmin -1440 2>/dev/null)" ]; then
    root=$(mktemp -d "$work/$suite.XXXXXX")
    mkdir -p "$work/packages-$suite"
    debootstrap --variant=minbase --include=make,git --cache-dir="$work/packages-$suite" \
      "$suite" "$root" "$mirror" >"$work/$suite.log" 2>&1 || {
      cat "$work/$suite.log" >&2
      rm -rf "$root"
      fail "cannot make a $suite"
    }
    rm -f "$root"/var/cache/apt/archives/*.deb
    apt-config dump | grep -E '^Acquire::https?::Proxy' >"$root/etc/apt/apt.conf.d/proxy" || true
    # the mirror may be a snapshot of an earlier day
    printf 'Acquire::%s;\n' 'Retries "3"' 'Check-Valid-Until "false"' \
      >"$root/etc/apt/apt.conf.d/fetching"
    echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/unsafe-io"
    tar -C "$root" -cf "$work/$suite.tar" .
    rm -rf "$root"
  fi
}

# Runs a shell command in the chroot, in namespaces that end with it.
inside() {
  local suite=$1 root=$2
  shift 2
  unshare --mount --pid --fork --kill-child bash -c '
    set -eu
    root=$1 packages=$2
    shift 2
    mount --bind "$packages" "$root/var/cache/apt/archives"
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
    exec chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin \
      bash -c "$@"
  ' inside "$root" "$work/packages-$suite" "$@" </dev/null
}

row() {
  printf '%-10s' "$1"
  shift
  printf '  %-16s' "$@"
  echo
}

status=0
table=$(row suite $(printf 'make_%s ' $targets))
for suite in $suites; do
  bootstrap "$suite"
  root=$(mktemp -d "$work/$suite.XXXXXX")
  trap 'rm -rf --one-file-system "$root"' EXIT
  tar -C "$root" -xf "$work/$suite.tar"
  chmod 755 "$root" # apt reads it as a user of its own
  git clone --quiet "file://$source" "$root/root/gradient"
  : >"$work/$suite.log"
  cells=()
  for target in $targets; do
    echo "== $suite: make $target =="
    started=$SECONDS
    if inside "$suite" "$root" "cd /root/gradient && make $target" 2>&1 \
      | tee -a "$work/$suite.log"; then
      outcome=passed
    else
      outcome=FAILED status=1
    fi
    cells+=("$outcome $((SECONDS - started)) s")
  done
  rm -rf --one-file-system "$root"
  table+=$'\n'$(row "$suite" "${cells[@]}")
done
echo
echo "${table//make_/make }"
exit $status
