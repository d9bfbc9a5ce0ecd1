# apt with its sandbox: the user _apt downloads and verifies everything. The archive is the
# part of Debian's in /srv/mirror.
. /test/functions

cat >/tmp/serve.py <<'END'
import http.server
http.server.test(http.server.SimpleHTTPRequestHandler, port=80, bind="127.0.0.1")
END
(cd /srv/mirror && exec python3 -u /tmp/serve.py >/tmp/served 2>&1) &
server=$!
until grep -q Serving /tmp/served; do
	kill -0 $server
	sleep 0.05
done
rm -f /etc/apt/sources.list.d/*
echo 'deb [by-hash=no lang=none] http://127.0.0.1/ bookworm main' >/etc/apt/sources.list
apt-config dump | grep -i sandbox || true
export DEBIAN_FRONTEND=noninteractive

apt-get -q update 2>&1 | grep -v '^Fetched' | sed 's/ \[.*//'
look /var/lib/apt/lists /var/lib/apt/lists/* /var/lib/apt/lists/partial
apt-get -q -y install liblockfile-bin uuid-runtime 2>&1 | grep '^Get\|^[WE]:\|^Setting' | sed 's/ \[.*//; s/ (.*//'
dpkg-query -W -f '${Package} ${db:Status-Status}\n' liblockfile-bin uuid-runtime
look /usr/bin/dotlockfile /var/cache/apt/archives /var/cache/apt/archives/partial
id uuidd | sed 's/=[0-9]*/=ID/g'
su uuidd -s /bin/sh -c 'id -un'
# A download by a user, and one by root to a directory that belongs to _apt.
mkdir /tmp/down
chown _apt /tmp/down
(cd /tmp/down && apt-get -q download liblockfile-bin 2>&1 | grep '^[WE]:' || true)
look /tmp/down/*
apt-get -q -y purge uuid-runtime 2>&1 | grep '^Purging\|^Removing\|^[WE]:' | sed 's/ (.*//'
apt-get -q -y remove liblockfile-bin 2>&1 | grep '^Removing\|^[WE]:' | sed 's/ (.*//'
[ -e /usr/bin/dotlockfile ] || echo removed
apt-get check -q
look /var/lib/dpkg/status /var/log/apt/* /var/log/dpkg.log /var/cache/apt/archives/*.deb
kill $server
