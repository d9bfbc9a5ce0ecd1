# A message bus, which identifies its clients with SO_PEERCRED and SO_PEERGROUPS.
. /test/functions
bus=org.freedesktop.DBus
ask() { dbus-send --system --print-reply=literal --dest=$bus / $bus."$@" 2>&1 | sed 's/^ *//; s/"[^"]*" is/CLIENT is/'; }

useradd -m ann
groupadd -g 6000 crew
usermod -aG crew ann
look /usr/lib/dbus-1.0/dbus-daemon-launch-helper
mkdir -p /run/dbus
dbus-uuidgen --ensure
dbus-daemon --system --fork --print-pid >/tmp/pid
ask GetId >/dev/null # once it answers, it has changed its ids
look /run/dbus/system_bus_socket /var/lib/dbus/machine-id
stat -c %U:%G /proc/"$(cat /tmp/pid)"
ps -o user= -o group= -C dbus-daemon

# client USER starts a client that stays, and sets $name to its name on the bus.
client() {
	: >/tmp/name
	su "$1" -c 'exec python3 /test/dbus-client.py' >/tmp/name &
	wait_for test -s /tmp/name
	name=$(cat /tmp/name)
}
for user in root ann; do
	client $user
	echo "$user"
	ask GetConnectionUnixUser string:"$name"
	ask GetConnectionCredentials string:"$name" | tr -s '\n ' ' ' | grep -o 'UnixUserID *variant *uint32 [0-9]*\|UnixGroupIDs *variant *array *[[ 0-9a-z]*'
done
echo "others"
ask GetConnectionUnixUser string:$bus
python3 /test/dbus-client.py ann
su ann -c 'python3 /test/dbus-client.py root'
su ann -c 'python3 /test/dbus-client.py ann' | cut -c 1-3
ask RequestName string:com.example.Test uint32:0
su ann -c "dbus-send --system --print-reply --dest=$bus / $bus.ListNames >/dev/null && echo listed"

# GLib's library, and one of Go, send credentials of their own before they authenticate.
for user in root ann; do
	su $user -c "gdbus call --system --dest $bus --object-path / --method $bus.ListNames" | cut -c 1-3
	su $user -c '/test/busclient unix:path=/run/dbus/system_bus_socket'
done
