. /test/functions
look /usr/sbin/postdrop /usr/sbin/postqueue /var/spool/postfix /var/spool/postfix/* /var/spool/postfix/public/* /var/mail/bob
stat -c '%A %U:%G' /var/spool/postfix/maildrop/*
postfix check
postfix start 2>/dev/null
wait_for test -s /var/mail/ann
look /var/mail/ann
grep '^Subject: ' /var/mail/ann
postfix stop 2>/dev/null
