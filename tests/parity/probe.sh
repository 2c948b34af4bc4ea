#!/bin/sh
# What a process sees of itself, section by section: every file of /proc/self, where its links lead, and what only a
# system call tells. The arguments: the numbers of prctl and keyctl on this machine, and files of /proc/self to pass over.
# This shell is the process that was started, so it is asked about by its pid; it never changes directory or signals.
prctl=$1 keyctl=$2
shift 2

section() { printf '\n== %s\n' "$1"; }

section fd
find /proc/$$/fd -type l -printf '%f -> %l\n'
section environ
tr '\0' '\n' </proc/$$/environ | sort

# By the shell itself: for a moment after each fork it blocks every signal.
section status
while IFS= read -r line; do printf '%s\n' "$line"; done </proc/$$/status

for file in "/proc/$$"/* "/proc/$$"/attr/* "/proc/$$"/attr/*/* "/proc/$$"/ns/*; do
  name=${file#"/proc/$$/"}
  case " $* environ fd status " in *" $name "*) continue ;; esac
  if [ -L "$file" ]; then
    section "$name"
    readlink "$file"
  elif [ -f "$file" ]; then
    section "$name"
    # shellcheck disable=SC2002 # where it cannot be read, cat says why
    LC_ALL=C cat "$file" 2>&1 | tr '\0' ' ' | sed "s|/proc/$$/||"
  fi
done

section terminal
(: </dev/tty) 2>/dev/null && echo opened || echo none
section scheduling
chrt -p $$ | sed 's/.*current/current/'
echo "io: $(ionice -p $$)"
echo "processors: $(taskset -p $$ | sed 's/.*: //')"

# Perl becomes this process: what is asked of it is what the shell was started with. It is in every Debian.
export prctl keyctl
exec perl -e '
  $| = 1;
  sub ask { my $call = shift; my $got = syscall($call, @_); $got < 0 ? "no: $!" : $got }
  sub into {
    my ($call, $what, $space) = (@_, "\0" x 64);
    syscall($call, $what, $space, 0, 0, 0) < 0 ? "no: $!" : unpack("l", $space)
  }
  my ($prctl, $keyctl) = map int, @ENV{"prctl", "keyctl"};
  print "\n== prctl\n";
  my %plain = (dumpable => 3, keepcaps => 7, timing => 13, seccomp => 21, securebits => 27, timerslack => 30,
    mce_kill => 34, no_new_privs => 39, thp_disable => 42, io_flusher => 58);
  print "$_: ", ask($prctl, $plain{$_}, 0, 0, 0, 0), "\n" for sort keys %plain;
  my %out = (pdeathsig => 2, tsc => 25, child_subreaper => 37);
  print "$_: ", into($prctl, $out{$_}), "\n" for sort keys %out;
  print "ambient $_: ", ask($prctl, 47, 1, $_, 0, 0), "\n" for 0 .. 40;
  print "speculation $_: ", ask($prctl, 52, $_, 0, 0, 0), "\n" for 0 .. 2;

  # Of the session keyring: what it is, and what is in it.
  print "\n== keyring\n";
  my ($text, $keys) = ("\0" x 256) x 2;
  my $length = syscall($keyctl, 6, -3, $text, 256);
  print "number: ", ask($keyctl, 0, -3, 0), "\n";
  print "session: ", $length < 0 ? "no: $!" : substr($text, 0, $length - 1), "\n";
  $length = syscall($keyctl, 11, -3, $keys, 256);
  my @keys = $length < 0 ? () : unpack("l*", substr($keys, 0, $length));
  print "holds: ", scalar(@keys), "\n";
'
