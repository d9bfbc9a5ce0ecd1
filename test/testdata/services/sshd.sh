# Logins over ssh, with sshd's privilege separation.
. /test/functions

useradd -m -s /bin/bash ann
groupadd -g 6000 crew
usermod -aG crew ann
mkdir -p /run/sshd
look /etc/ssh/ssh_host_* /run/sshd
ssh-keygen -q -t ed25519 -N '' -f /root/key
for user in root ann; do
	home=$(getent passwd $user | cut -d : -f 6)
	install -d -m 700 -o $user -g $user $home/.ssh
	install -m 600 -o $user -g $user /root/key.pub $home/.ssh/authorized_keys
done
look /home/ann/.ssh /home/ann/.ssh/authorized_keys
/usr/sbin/sshd -t
/usr/sbin/sshd -p 2222 -E /var/log/sshd
wait_for test -e /run/sshd.pid
cat >/root/config <<'END'
Host *
Port 2222
IdentityFile /root/key
BatchMode yes
StrictHostKeyChecking accept-new
LogLevel ERROR
END
run() { ssh -F /root/config "$@" </dev/null; }

echo "before the login"
python3 - <<'END'
import socket, subprocess, time
s = socket.create_connection(("127.0.0.1", 2222))
s.recv(100)
s.sendall(b"SSH-2.0-test\r\n")
s.recv(10000)
for line in sorted(subprocess.check_output(["ps", "-o", "user=", "-o", "args=", "-C", "sshd"], text=True).splitlines()):
    print(*line.split()[:3])
END

echo "logins"
run root@127.0.0.1 'id; stat -c %U:%G /proc/$$; umask; echo $HOME'
run ann@127.0.0.1 'id; stat -c %U:%G /proc/$$; touch made; stat -c "%n %A %U:%G" made; ps -o user= -o args= -C sshd | sort | grep ann'
run -tt ann@127.0.0.1 'stat -c "%A %U:%G" $(tty)' | tr -d '\r'
run bob@127.0.0.1 id 2>&1 || echo "status $?"
mv /home/ann/.ssh/authorized_keys /home/ann/keys
run ann@127.0.0.1 id 2>&1 || echo "status $?"
mv /home/ann/keys /home/ann/.ssh/authorized_keys
echo "strict modes"
chown games /home/ann/.ssh/authorized_keys
chmod 644 /home/ann/.ssh/authorized_keys
run ann@127.0.0.1 id 2>&1 || echo "status $?"
chown ann /home/ann/.ssh/authorized_keys
chmod 600 /home/ann/.ssh/authorized_keys

echo "sftp"
cd /root
echo text >text
chmod 640 text
printf 'put text\nput -p text kept\nmkdir dir\nchmod 2755 dir\nchgrp 6000 text\nsymlink text link\nrename kept dir/kept\nget dir/kept got\n' >batch
sftp -q -F config -b batch ann@127.0.0.1 >/dev/null
look got
(cd /home/ann && look text dir dir/kept link)
printf 'chown 0 text\n' >batch
sftp -q -F config -b batch ann@127.0.0.1 2>&1 | tail -n 1
scp -q -F config text ann@127.0.0.1:copied
look /home/ann/copied
kill "$(cat /run/sshd.pid)"
wait_for test ! -e /run/sshd.pid
grep -o 'Accepted publickey for [a-z]*\|Authentication refused: bad ownership or modes for file.*' /var/log/sshd
