data=/var/lib/postgresql/15/main
find $data -printf '%y %m %u:%g\n' | sort -u
pg_ctlcluster 15 main start
cd /
su ann -c 'psql -At -d postgres -c "select current_user, sum(n) from numbers"'
su postgres -c 'psql -At -d postgres -c "select current_user, count(*) from numbers"'
pg_ctlcluster 15 main stop
