# shellcheck shell=bash
# The recipe of the containers' root file system. The cache key is the hash of this file and of the
# suite, so what changes the result belongs here.
#
# A finished image is a directory with two trees of the same files: `plain`, owned by root, for the
# privileged container, and `shifted`, owned from uid 100000 up, for the others. They are only ever
# the lower layer of an overlay.

# What ordinary diagnostics want, and lxc for the container inside 105.
PACKAGES=systemd-sysv,dbus,procps,iproute2,psmisc,lsof,python3,sqlite3,less,file,attr,acl,e2fsprogs,openssl,net-tools
PACKAGES+=,strace,kmod,keyutils,lxc

# Units that wait for a network, hardware or a login that a lab container does not have, or fail.
MASKED=(apt-daily.timer apt-daily-upgrade.timer console-getty.service container-getty@.service
  dnsmasq.service e2scrub_all.timer e2scrub_reap.service fstrim.timer getty.target lxc.service
  lxc-monitord.service lxc-net.service sys-kernel-debug.mount systemd-networkd-wait-online.service)

SUITE=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")

# Prints the image's directory; builds it first if it is not there.
image() {
  local key dir new old
  key=$({ cat "$HERE/rootfs.sh" && echo "$SUITE"; } | sha256sum)
  dir=$CACHE/${key:0:16}
  if [[ ! -d $dir ]]; then
    # Labs with other state directories share the cache, so it has a lock of its own.
    mkdir -p "$CACHE"
    exec 8>"$CACHE/lock"
    flock 8
  fi
  if [[ ! -d $dir ]]; then
    for old in "$CACHE"/*/; do in_use "$old" || rm -rf --one-file-system "$old"; done
    new=$(mktemp -d "$CACHE/new.XXXXXX")
    say "building the root file system ($SUITE), once"
    build "$new" >"$CACHE/build.log" 2>&1 || {
      tail -n 20 "$CACHE/build.log" >&2
      die "the root file system could not be built; the whole log is $CACHE/build.log"
    }
    mv "$new" "$dir"
  fi
  exec 8>&-
  echo "$dir"
}

# Whether a container of any lab runs on an image of this directory.
in_use() { grep -qsF "lowerdir=$1" /proc/[0-9]*/mountinfo; }

# The machine's own Debian sources, so that a mirror set for it is used here too.
debian_sources() {
  # shellcheck disable=SC2016 # apt's variables
  apt-get indextargets --format '$(ORIGIN) deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
    'Created-By: Packages' | sed -n 's/^Debian deb/deb/p' | grep " $SUITE" | sort -u
}

# Every step by `|| return`: errexit does not hold in a function whose failure is caught.
build() {
  local new=$1 hooks
  [[ -n $(debian_sources) ]] || apt-get update || return
  # A proxy, or leave to use a mirror's old snapshot, likewise comes from the machine.
  apt-config dump | grep -E '^Acquire::(https?::|Check)' >"$new/apt.conf" || true
  # What would tie the image to this machine goes again. Without a machine-id systemd would take
  # every start for the first one ever, so each container is given its own.
  # shellcheck disable=SC2016 # $1 is the hook's: the new root
  hooks=('--customize-hook=rm "$1"/etc/hostname "$1"/etc/resolv.conf'
    '--customize-hook=rm -f "$1"/etc/machine-id "$1"/etc/apt/apt.conf.d/99mmdebstrap'
    '--customize-hook=printf "127.0.0.1 localhost\n::1 localhost\n" >"$1"/etc/hosts'
    "--customize-hook=systemctl --root=\"\$1\" mask ${MASKED[*]}")
  # In a mount namespace of its own, a build that is killed leaves no /proc or /dev mounted under
  # the unfinished tree, for the next rm -rf to walk into.
  debian_sources | unshare --mount mmdebstrap --mode=root --variant=minbase --include="$PACKAGES" \
    --aptopt="$new/apt.conf" "${hooks[@]}" "$SUITE" "$new/plain" - || return
  # Unpacked inside the user namespace: a chown would lose setuid bits and file capabilities.
  # Device nodes cannot be made there, and lxc makes its own.
  mkdir "$new/shifted" && chown 100000:100000 "$new/shifted" && chmod 755 "$new" || return
  tar -C "$new/plain" --exclude='./dev/*' -cf - . |
    lxc-usernsexec -m b:0:100000:65536 -- tar -C "$new/shifted" -xpf - --numeric-owner || return
  rm "$new/apt.conf"
}
