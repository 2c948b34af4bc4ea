# shellcheck shell=bash
# The two cgroup layouts. `v2` is PVE's: /sys/fs/cgroup is one cgroup2 mount. On a machine that
# has v1 hierarchies there, the v2 containers are started from a mount namespace where it is so,
# which a sleeping process, the holder, keeps. `mixed` is such a machine's own layout.

use_layout() {
  LAYOUT=$1
  LXCPATH=$LAB/$LAYOUT
  HOLDER=$LXCPATH/holder
  # All layouts of all labs are in the one cgroup2 hierarchy. The default lab's v2 has PVE's names,
  # lxc/101; the others are below a group of their own.
  CGROUPS=${LXCPATH//\//.}/
  CGROUPS=${CGROUPS#.}
  [[ $LXCPATH != /var/lib/provost-lab/v2 ]] || CGROUPS=
}

# Also true inside the holder's namespace, where there is indeed nothing more to do.
already_v2() { [[ $(stat -fc %T /sys/fs/cgroup) == cgroup2fs ]]; }
needs_holder() { [[ $LAYOUT == v2 ]] && ! already_v2; }

# Prints the holder's pid. Its argv[0] is compared, so that another process that was given the same
# pid later is not taken for it.
holder() {
  local pid argv0
  pid=$(cat "$HOLDER" 2>/dev/null) &&
    IFS= read -r -d '' argv0 2>/dev/null <"/proc/$pid/cmdline" &&
    [[ $argv0 == "provost-lab $LXCPATH" ]] && echo "$pid"
}

layout_up() {
  [[ $LAYOUT == v2 ]] || ! already_v2 || cannot "there is only cgroup v2 here: no mixed layout"
  mkdir -p "$LXCPATH"
  needs_holder && ! holder >/dev/null || return 0
  # "slave": what the machine mounts later shows up here, and nothing done here shows up there.
  # Unmounted first, as lxc reads mountinfo and would find what a mount on top only hides. The pid is
  # written when all is done.
  # shellcheck disable=SC2016 # the inner shell's
  setsid unshare --mount --propagation slave bash -euc '
    umount --recursive --lazy /sys/fs/cgroup
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    cd /
    echo $$ >"$0.new"
    mv "$0.new" "$0"
    exec -a "provost-lab $1" sleep infinity
  ' "$HOLDER" "$LXCPATH" </dev/null >/dev/null 2>"$LXCPATH/holder.log" 9>&- &
  local tries=0
  until holder >/dev/null; do
    ((++tries < 500)) || die "no cgroup v2 namespace: $(cat "$LXCPATH/holder.log")"
    sleep 0.01
  done
}

layout_down() {
  local pid
  if pid=$(holder); then kill "$pid"; fi
  # rmdir takes only what is empty.
  rmdir /sys/fs/cgroup{,/*}/"$CGROUPS"{lxc,lxc.monitor} 2>/dev/null || true
  [[ -z $CGROUPS ]] || rmdir /sys/fs/cgroup{,/*}/"$CGROUPS" 2>/dev/null || true
  rm -rf --one-file-system "$LXCPATH"
}

# in_layout [exec] CMD...: where this layout's containers are started. Entering a mount namespace
# leads to its root, so the caller's directory is set again.
in_layout() {
  local pid how=()
  [[ $1 != exec ]] || { how=(exec) && shift; }
  if needs_holder; then
    pid=$(holder) || die "the $LAYOUT layout is not up: lab up"
    "${how[@]}" nsenter --mount="/proc/$pid/ns/mnt" env -C "$PWD" -- "$@"
  else
    "${how[@]}" "$@"
  fi
}
