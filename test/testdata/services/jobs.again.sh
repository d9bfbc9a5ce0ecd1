. /test/functions
numbers /home/ann/* /home/bob/* /tmp/games* /var/spool/cron/* /var/spool/cron/crontabs/*
stat -c '%A %U:%G' /var/spool/cron/atjobs/a*
su bob -c 'crontab -l; atq | wc -l'
