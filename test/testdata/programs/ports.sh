# A web server that a user starts, and ping, in their own network namespace.
# Needs: busybox setcap
. "${0%/*}/functions"
user() { setpriv --reuid 21000 --regid 21000 --clear-groups "$@"; }
# serve starts a server as a user, from a directory, on a port, and sends it a request.
serve() {
	try user "$1/httpd" -p "127.0.0.1:$2" -h .
	try busybox wget -qO- "http://127.0.0.1:$2/hello"
}
questions() {
	busybox ip link set lo up
	serve plain 80
	serve capable 80
	serve plain 8080
	echo 90 >/proc/sys/net/ipv4/ip_unprivileged_port_start
	serve plain 89
	serve plain 90
	try user plain/ping -c 1 -q 127.0.0.1 | sed 's/^round-trip.*/round-trip/'
	try user capable/ping -c 1 -q 127.0.0.1 | sed 's/^round-trip.*/round-trip/'
	try user busybox ip link set lo mtu 30000
	try user capable/ip link set lo mtu 30000
	try busybox cat /sys/class/net/lo/operstate
	try user busybox ip -o link show lo | sed 's/.*mtu/mtu/'
	try user busybox arping -c 1 -I lo 127.0.0.1
	try user busybox hostname other
}

chmod 755 .
echo hello >hello
mkdir plain capable
for dir in plain capable; do
	for name in httpd ping ip; do
		cp "$(command -v busybox)" $dir/$name
	done
done
setcap cap_net_bind_service=ep capable/httpd
setcap cap_net_raw=ep capable/ping
setcap cap_net_admin=ep capable/ip
# The servers end with the first process of the PID namespace.
unshare --net --pid --fork sh -euc "
. '${0%/*}/functions'
$(sed -n '/^user()/p; /^serve()/,/^}/p; /^questions()/,/^}/p' "$0")
questions
"
