# Runs the command in its arguments with a socket to systemd (sd_notify(3)) as descriptor KEELSON_NOTIFY_FD. The runtime
# can write to such a socket but not open one, and systemd heeds only the process it started, which this one stays.
use strict;
use warnings;
use Socket;

$^F = 255;    # what is opened here stays open in the command
my $socket;
my $path = $ENV{NOTIFY_SOCKET} =~ s/^@/\0/r;
if (socket($socket, AF_UNIX, SOCK_DGRAM, 0) && connect($socket, pack_sockaddr_un($path))) {
  $ENV{KEELSON_NOTIFY_FD} = fileno($socket);
}
else {
  warn "etcd: systemd is not told when the member is ready: $ENV{NOTIFY_SOCKET}: $!\n";
}
exec { $ARGV[0] } @ARGV or die "etcd: cannot run $ARGV[0]: $!\n";
