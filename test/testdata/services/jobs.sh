# at and cron, whose set-id programs accept jobs of users. The daemons run them as the
# users.
. /test/functions
as() { su - "$1" -c "$2"; }
# executed FILE asks for the file that a job of atd makes. The signal of at is lost if it comes when
# atd, which has looked for jobs, is about to sleep.
executed() { kill -HUP "$(cat /run/atd.pid)" && test -e "$1"; }

for user in ann bob; do useradd -m $user; done
groupadd -g 6000 crew
usermod -aG crew ann
look /usr/bin/at /usr/bin/crontab /var/spool/cron/* /usr/sbin/atd

echo at
as ann 'echo "id; touch made; ln -s x sym" >job; at -f job now + 5 hours 2>/dev/null; atq | wc -l'
stat -c '%A %U:%G' /var/spool/cron/atjobs/a*
as bob 'atq | wc -l'
as bob 'atrm 1' 2>&1 || true
as ann 'atrm 1; atq | wc -l'
echo ann >/etc/at.deny
as ann 'echo true | at now' 2>&1 || true
: >/etc/at.deny
atd
wait_for test -e /run/atd.pid
# at's SIGHUP would kill atd until it has installed its handler.
wait_for grep -q '^SigCgt:.*[13579bdf]$' /proc/$(cat /run/atd.pid)/status
look /run/atd.pid
ps -o user= -C atd
as ann 'echo "id >out; umask; touch made; touch done" | at now' 2>/dev/null
wait_for executed /home/ann/done
cat /home/ann/out
look /home/ann/made
echo 'id >/root/out; touch /root/done' | at now 2>/dev/null
wait_for executed /root/done
cat /root/out

echo cron
as ann 'printf "@reboot id >out2; ps -o user= \$\$ >>out2; touch cron-done\n" | crontab -'
as ann 'crontab -l' | cut -c 1-10
printf '@reboot id >out; touch cron-done\n' | crontab -u bob -
as bob 'crontab -u ann -l' 2>&1 | head -n 1
printf '@reboot games id >/tmp/games; touch /tmp/games-done\n' >/etc/cron.d/games
look /var/spool/cron/crontabs/*
cron
wait_for test -e /home/ann/cron-done
wait_for test -e /home/bob/cron-done
wait_for test -e /tmp/games-done
cat /home/ann/out2 /home/bob/out /tmp/games
look /home/*/cron-done /tmp/games-done
as ann 'crontab -r'
ls /var/spool/cron/crontabs
as bob 'echo true | at now + 3 hours' 2>/dev/null
