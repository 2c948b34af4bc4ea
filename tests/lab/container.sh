# shellcheck shell=bash
# One container: made, started, awaited, removed. All of it is in $LXCPATH/NAME: the lxc config, and
# the upper and work directories of its overlay over the image.

running() { [[ $(lxc-info -P "$LXCPATH" -n "$1" -sH 2>/dev/null) =~ RUNNING|FROZEN ]]; }
# Running, and of the image that the recipe makes now: one of an older is made anew.
current() { running "$1" && grep -qF "lowerdir=$IMAGE/" "$LXCPATH/$1/config"; }
made() { local dir; for dir in "$LXCPATH"/*/; do basename "$dir"; done; }

# make NAME WHAT [FILES] [INIT]: WHAT.conf, WHAT.seccomp and WHAT.files say what it is. From scratch:
# whatever a former one of this name left is removed.
make() {
  local name=$1 what=$2 files=${3:-$2.files} init=${4:-/sbin/init} dir=$LXCPATH/$1
  local tree=shifted owner=100000
  if grep -q '^# lab: privileged' "$what.conf"; then tree=plain owner=0; fi
  remove "$name"
  mkdir -p "$dir"/{rootfs,upper,work}
  chown "$owner:$owner" "$dir/upper"
  [[ ! -e $what.seccomp ]] || cp "$what.seccomp" "$dir/rules.seccomp"
  local overlay="lowerdir=$IMAGE/$tree,upperdir=$dir/upper,workdir=$dir/work"
  prefill "$name" "$owner" "$overlay" "$dir/rootfs" "$files"
  {
    echo "lxc.include = /usr/share/lxc/config/common.conf"
    if ((owner)); then
      echo "lxc.include = /usr/share/lxc/config/userns.conf"
      echo "lxc.idmap = u 0 $owner 65536"
      echo "lxc.idmap = g 0 $owner 65536"
    fi
    cat <<CONFIG
lxc.uts.name = CT$name
lxc.rootfs.path = dir:$dir/rootfs
lxc.net.0.type = empty
lxc.init.cmd = $init
lxc.console.logfile = $dir/console.log
lxc.apparmor.profile = generated
# The overlay is mounted in the monitor's own mount namespace, and so is gone with the monitor.
lxc.monitor.unshare = 1
lxc.hook.version = 1
lxc.hook.pre-start = /bin/mount -t overlay overlay-$name -o $overlay $dir/rootfs
lxc.cgroup.relative = 0
lxc.cgroup.dir.monitor = ${CGROUPS}lxc.monitor/$name
lxc.cgroup.dir.container = ${CGROUPS}lxc/$name
lxc.cgroup.dir.container.inner = ns
CONFIG
    sed "s|@IMAGE@|$IMAGE|g; s|@DIR@|$dir|g" "$what.conf"
  } >"$dir/config"
}

# Writes the container's name and a directory's files into its root as the container will see it, so
# that bin/sh ends up in usr/bin, and a directory that exists keeps its owner and mode.
prefill() {
  # shellcheck disable=SC2016 # the inner shell's
  name=$1 owner=$2 overlay=$3 root=$4 files=$5 unshare --mount bash -euo pipefail -c '
    mount -t overlay overlay -o "$overlay" "$root"
    cd "$root"
    echo "CT$name" >etc/hostname
    tr -d - </proc/sys/kernel/random/uuid >etc/machine-id
    chown "$owner:$owner" etc/hostname etc/machine-id
    [[ -d $files ]] || exit 0
    into=(tar -C . --no-overwrite-dir --keep-directory-symlink -xpf -)
    ((owner == 0)) || into=(lxc-usernsexec -m "b:0:$owner:65536" -- "${into[@]}")
    tar -C "$files" --owner=0 --group=0 --numeric-owner -cf - . | "${into[@]}"
  '
}

start() {
  local dir=$LXCPATH/$1
  in_layout lxc-start -P "$LXCPATH" -n "$1" -d -o "$dir/log" -l INFO </dev/null || {
    grep -E ' (ERROR|WARN) ' "$dir/log" | tail -n 20 >&2
    die "$LAYOUT/$1 did not start; its log is $dir/log"
  }
}

# Whether it runs or was killed half way.
remove() {
  local name=$1 dir=$LXCPATH/$1 group state
  # A process that froze itself in a v1 freezer cannot be killed, and its container not be stopped.
  while read -r state; do echo THAWED >"$state" || true; done < <(
    find /sys/fs/cgroup/freezer/"$CGROUPS"lxc/"$name" -depth -name freezer.state 2>/dev/null)
  timeout 30 lxc-stop -P "$LXCPATH" -n "$name" -k 2>/dev/null || true
  for group in /sys/fs/cgroup{,/*}/"$CGROUPS"lxc{,.monitor}/"$name"; do clear_cgroup "$group"; done
  rm -rf --one-file-system "$dir"
}

# What a killed monitor leaves would make lxc take another name, lxc/101-1.
clear_cgroup() {
  local tries=0
  while [[ -d $1 ]]; do
    ((++tries < 200)) || die "processes of a former run stay in $1"
    { [[ ! -e $1/cgroup.kill ]] || echo 1 >"$1/cgroup.kill"; } 2>/dev/null || true
    find "$1" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.02
  done
}

hostile() {
  local name=$1 files=$2 init=${3:-/sbin/init}
  [[ $name =~ ^[A-Za-z0-9][A-Za-z0-9_-]*$ ]] || die "a name is of letters, digits, _ and -"
  [[ -d $files ]] || die "no directory $files"
  ! running "$name" || die "$LAYOUT/$name is there already: lab destroy $name"
  layout_up
  IMAGE=$(image)
  make "$name" "$HERE/containers/101" "$(readlink -f "$files")" "$init"
  start "$name"
}

wait_booted() {
  local name names=("$@") jobs=()
  (($#)) || mapfile -t names < <(made)
  ((${#names[@]})) || die "nothing is up in $LAYOUT: lab up"
  for name in "${names[@]}"; do
    booted "$name" &
    jobs+=($!)
  done
  wait_for "${jobs[@]}"
}

# "degraded" has booted too. Until the container's bus is up the question fails, and is asked again.
booted() {
  local name=$1 state='' deadline=$((SECONDS + 60))
  [[ -d $LXCPATH/$name ]] || die "no container $LAYOUT/$name: lab up"
  # A hostile one's own init has nothing to ask.
  grep -q '^lxc.init.cmd = /sbin/init$' "$LXCPATH/$name/config" || return 0
  while ((SECONDS < deadline)) && running "$name"; do
    state=$(in_layout timeout 60 lxc-attach -P "$LXCPATH" -n "$name" --clear-env -- \
      systemctl is-system-running --wait 2>/dev/null </dev/null) || true
    [[ $state != running && $state != degraded ]] || return 0
    sleep 0.05
  done
  die "$LAYOUT/$name has not booted (${state:-no answer}); see $LXCPATH/$name/console.log"
}

# status LAYOUTS [--json]
status() {
  local layout name state pid cgroup json=() rows=() form='%-6s %-12s %-8s %8s  %s\n'
  [[ -z $2 || $2 == --json ]] || usage
  for layout in $1; do
    use_layout "$layout"
    rows=()
    for name in $(made); do
      { read -r _ state && read -r _ pid; } < <(lxc-info -P "$LXCPATH" -n "$name" -s -p -H) || pid=
      cgroup=$(sed -n 's/^0:://p' "/proc/${pid:-none}/cgroup" 2>/dev/null) || true
      [[ -n $2 ]] || printf "$form" "$layout" "$name" "$state" "${pid:--}" "${cgroup:--}"
      rows+=("{\"name\":\"$name\",\"state\":\"$state\",\"pid\":${pid:-null},\"cgroup\":\"$cgroup\"}")
    done
    pid=$(holder) || pid=null
    json+=("{\"layout\":\"$layout\",\"lxcpath\":\"$LXCPATH\",\"holder\":$pid,\"containers\":[$(
      IFS=,
      echo "${rows[*]}"
    )]}")
  done
  [[ -z $2 ]] || (IFS=, && echo "[${json[*]}]")
}
