look() { stat -c '%n %A %U:%G' "$@"; }
look /usr/sbin/postdrop /usr/sbin/postqueue /var/spool/postfix /var/spool/postfix/* /var/spool/postfix/public/* /var/mail/bob
stat -c '%A %U:%G' /var/spool/postfix/maildrop/*
postfix check
postfix start 2>/dev/null
for i in $(seq 100); do
	[ ! -s /var/mail/ann ] || break
	sleep 0.1
done
look /var/mail/ann
grep '^Subject: ' /var/mail/ann
postfix stop 2>/dev/null
