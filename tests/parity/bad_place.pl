# Starts a program where everything that it should not pass on is there to be passed on: variables, open descriptors,
# ignored and blocked signals, an odd umask and directory, a terminal of its own, a key in its session keyring.
# The arguments: the numbers of keyctl and add_key on this machine, and the program.
use strict;
use POSIX;

my ($keyctl, $add_key) = map int, splice @ARGV, 0, 2;

$ENV{PROVOST_PARITY} = "a variable of the host";
$ENV{LD_LIBRARY_PATH} = "/nonexistent/of-the-host";
chdir "/usr/share" or die "chdir: $!";
umask 0;

# Kept open across exec, low and high.
$^F = 1 << 20;
open(my $folder, "<", "/etc/passwd") or die "open: $!";
POSIX::dup2(fileno($folder), $_) for 5, 9, 63, 64, 65, 500;

# A terminal that is the session's own as soon as the session's leader opens it.
open(my $master, "+<", "/dev/ptmx") or die "ptmx: $!";
my $number = pack "i", 0;
ioctl($master, 0x40045431, $number) or die "unlock: $!";
ioctl($master, 0x80045430, $number) or die "number: $!";
POSIX::setsid() > 0 or die "setsid: $!";
open(my $terminal, "+<", "/dev/pts/" . unpack "i", $number) or die "pts: $!";

$SIG{$_} = "IGNORE" for qw(HUP INT QUIT PIPE USR1 TSTP XFSZ);
POSIX::sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIGUSR2, SIGALRM, SIGCHLD, SIGPIPE)) or die "sigprocmask: $!";

my ($type, $name, $secret) = ("user", "provost-parity", "a key of the host");
syscall($keyctl, 1, 0) > 0 or die "join a session keyring: $!";
syscall($add_key, $type, $name, $secret, length $secret, -3) > 0 or die "add_key: $!";

exec @ARGV or die "exec: $!";
