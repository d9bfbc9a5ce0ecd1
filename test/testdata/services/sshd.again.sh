. /test/functions
look /etc/ssh/ssh_host_* /run/sshd /home/ann/* /home/ann/.ssh/*
/usr/sbin/sshd -p 2222 -E /var/log/sshd
wait_for test -e /run/sshd.pid
ssh -F /root/config ann@127.0.0.1 'id; stat -c "%n %A %U:%G" *' </dev/null
kill "$(cat /run/sshd.pid)"
