. /test/functions
workers() { [ "$(pgrep -c -u www-data -f 'worker process')" = 2 ]; }
look /var/log/nginx/* /var/lib/nginx/* /srv/www/*
stat -c '%A %U:%G' /var/lib/nginx/body/*
nginx
wait_for workers
ps -o user= -o args= -C nginx | sort -u
python3 -c 'import urllib.request as r; print(r.urlopen("http://127.0.0.1/private", None, 10).read().decode().strip())'
nginx -s stop
