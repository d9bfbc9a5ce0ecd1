# A master process of root with workers of www-data.
. /test/functions
fetch() { python3 -c 'import sys, urllib.request as r; print(r.urlopen(sys.argv[1], sys.argv[2].encode() if sys.argv[2:] else None, 10).read().decode().strip())' "$@"; }

workers() { [ "$(pgrep -c -u www-data -f 'worker process')" = 2 ]; }
reopened() { [ "$(stat -c %U /var/log/nginx/access.log)" = www-data ]; }
ended() { ! pgrep nginx; }

sed -i 's/^worker_processes.*/worker_processes 2;/' /etc/nginx/nginx.conf
cat >/etc/nginx/sites-enabled/default <<'END'
server {
	listen 127.0.0.1:80;
	root /srv/www;
	location /up {
		client_body_in_file_only on;
		proxy_pass http://127.0.0.1/hello;
		proxy_method GET;
	}
}
END
mkdir /srv/www
echo hello >/srv/www/hello
echo private >/srv/www/private
chown www-data:www-data /srv/www/private
chmod 400 /srv/www/private
rm /var/log/nginx/*
nginx -t 2>&1 | sed 's/.*nginx: //'
nginx
wait_for workers
look /run/nginx.pid /var/log/nginx/* /var/lib/nginx/*
ps -o user= -o args= -C nginx | sort -u
for pid in $(pgrep -u www-data); do stat -c '%U:%G' /proc/$pid; done | sort -u
stat -c '%U:%G' /proc/"$(cat /run/nginx.pid)"
fetch http://127.0.0.1/hello
fetch http://127.0.0.1/private
fetch http://127.0.0.1/up body
stat -c '%A %U:%G' /var/lib/nginx/body/*
echo "logs opened again are the workers'"
nginx -s reopen 2>/dev/null
wait_for reopened
look /var/log/nginx/access.log
nginx -s quit 2>/dev/null
wait_for ended
ps -o args= -C nginx || echo ended
