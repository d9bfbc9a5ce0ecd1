# A database server, which refuses to run as root and trusts SO_PEERCRED.
. /test/functions
data=/var/lib/postgresql/15/main

useradd -m ann
pg_createcluster --locale C 15 main >/dev/null
look $data $data/PG_VERSION $data/base /etc/postgresql/15/main /etc/postgresql/15/main/*
/usr/lib/postgresql/15/bin/postgres -D $data 2>&1 | head -n 1
pg_ctlcluster 15 main start
look /run/postgresql /run/postgresql/.s.PGSQL.5432 /var/log/postgresql/*
ps -o user= -C postgres | sort -u
stat -c %U /proc/"$(head -n 1 $data/postmaster.pid)"

ask() { (cd / && su "$1" -c "psql -At -d postgres -c \"$2\"" 2>&1) | sed 's/.*FATAL: */FATAL: /'; }
ask postgres 'select current_user'
ask postgres 'create table numbers as select n from generate_series(1, 1000) n'
ask ann 'select current_user'
ask root 'select current_user'
su ann -c 'psql -U postgres -d postgres -c "select 1"' 2>&1 | sed 's/.*FATAL: */FATAL: /'
ask postgres 'create role ann login'
ask postgres 'grant select on numbers to ann'
ask ann 'select current_user, sum(n) from numbers'
ask ann 'drop table numbers'
ask postgres "copy numbers to '/tmp/numbers'"
look /tmp/numbers
pg_ctlcluster 15 main stop
pg_lsclusters -h | awk '{ print $2, $4, $5 }'
find $data -printf '%y %m %u:%g\n' | sort -u
