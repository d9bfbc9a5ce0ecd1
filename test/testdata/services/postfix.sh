# A mail server that runs as several users, checks owners, and has a set-group-ID program
# for its users.
. /test/functions

useradd -m ann
useradd -m bob
postconf -e inet_interfaces=loopback-only inet_protocols=ipv4 mydestination=box,localhost myhostname=box maillog_file=/var/log/maillog
touch /etc/aliases
newaliases
postfix set-permissions 2>&1
postfix check
look /usr/sbin/postdrop /usr/sbin/postqueue /var/spool/postfix /var/spool/postfix/* /var/lib/postfix /etc/aliases.db

echo "wrong owners"
chown bob /etc/postfix/main.cf
chgrp root /usr/sbin/postdrop
chmod g-s /usr/sbin/postqueue
postfix check
grep -o 'warning: .*' /var/log/maillog
chown root /etc/postfix/main.cf
postfix set-permissions
look /usr/sbin/postdrop /usr/sbin/postqueue

echo "mail of a user"
postfix start 2>/dev/null
look /var/spool/postfix/public/* /var/spool/postfix/private/smtp /var/lib/postfix/*
su ann -c 'printf "Subject: hello\n\nhello\n" | sendmail bob'
wait_for test -s /var/mail/bob
look /var/mail/bob
grep -o '^From ann@box\|^Subject: .*' /var/mail/bob
ps -o user= -o comm= -C master,pickup,qmgr | sort
su ann -c mailq
postfix stop 2>/dev/null
grep -o 'uid=.*' /var/log/maillog | sed "s/uid=$(id -u ann) /uid=ann /"

echo "mail while the server is down"
su bob -c 'printf "Subject: later\n\nlater\n" | sendmail ann' 2>/dev/null
stat -c '%A %U:%G' /var/spool/postfix/maildrop/*
