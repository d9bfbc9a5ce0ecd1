# Daemons that ask the kernel who has sent a message: SO_PASSCRED.
. /test/functions
useradd -m -u 7000 ann
useradd -m -u 7001 bob

cat >/etc/rsyslog.conf <<'END'
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="/run/messages" Annotate="on")
template(name="annotated" type="string" string="%msg%\n")
*.* action(type="omfile" file="/var/log/messages" template="annotated")
END
rsyslogd -i /run/rsyslogd.pid
wait_for test -S /run/messages
for user in root ann daemon bob; do
	# logger ends before the daemon reads the message.
	su -s /bin/sh $user -c 'logger -u /run/messages "from $(id -un)"'
	su -s /bin/sh $user -c 'python3 /test/notify.py send /run/messages "<13>test: again from $(id -un)"'
done
wait_for grep -q 'again from bob' /var/log/messages
sed 's/^ *\(.*from [a-z]*\) @.*_UID=\([0-9]*\) _GID=\([0-9]*\).*/\1: \2 \3/' /var/log/messages

# A receiver like systemd's, which sd_notify(3) talks to.
python3 /test/notify.py receive /run/notify 5 >/tmp/received &
wait_for test -S /run/notify
for user in root ann bob; do
	su $user -c "python3 /test/notify.py send /run/notify READY=1"
done
su ann -c "python3 /test/notify.py named /run/notify STOPPING=1"
su ann -c "python3 /test/notify.py lie /run/notify STATUS=lie" 2>&1 | tail -n 1
python3 /test/notify.py lie /run/notify STATUS=other
wait
cat /tmp/received
