# What works in a pod without user namespaces: commands.out has what this prints. $1 is the address
# of a registry.
registry=$1
exec 2>&1
subuidless doctor | grep -E '^(ok|missing|note) +(isolation|user namespaces|pidfd_getfd)|can run' | sed 's/operation.*//'

subuidless load -q -i /base.tar
while read -r name flags; do
	cd "/cases/$name" || exit
	subuidless build -q $flags -t "$registry/$name" . > /dev/null < /dev/null &&
		subuidless push -q --tls-verify=false "$registry/$name" > /dev/null ||
		echo "$name: $?"
done < /cases/list
cd /

echo '# from the registry'
subuidless prune --all --force > /dev/null
subuidless rmi -f "$registry/pod" > /dev/null 2>&1
subuidless run -q --rm --tls-verify=false "$registry/pod"
subuidless run -q --rm -u 0 "$registry/pod" sh -c 'stat -c "%a %u:%g %n" /opt/bin/* /home/joe /home/joe/config /srv/*; cd /owned 2> /dev/null || echo no /owned'
subuidless run -q --rm -u 33:44 -w /tmp -e A=b "$registry/pod" sh -c 'id; pwd; echo $A; kill -TERM $$'
echo "status $?"

echo '# in the background'
subuidless run -q -d --name web -u 0 "$registry/pod" sh -c 'echo serving; touch /new; chown 7:8 /new; sleep 1000 & trap "echo end; exit 3" TERM; touch /ready; wait' > /dev/null
until subuidless exec web test -e /ready; do :; done
subuidless exec -u joe -w /srv web sh -c 'id -u; pwd; exit 9'
echo "status $?"
subuidless top web | grep -c 'sleep 1000'
subuidless diff web
subuidless cp web:/etc/passwd - | tar -tv | grep -c ' 0/0 .* passwd'
subuidless export web | tar -tv | sed -n 's/^\(c[^ ]* [0-9/]*\).* \(dev.*\)/\1 \2/p; s/^\([^ ]* 7.8\).* new/\1 new/p'
subuidless commit -q web committed > /dev/null
subuidless stop web
subuidless wait web
subuidless logs web
subuidless rm web
subuidless run -q --rm committed sh -c 'stat -c "%u:%g %n" /new'
subuidless exec -- id -u
ps | grep -c '[s]leep 1000'

echo '# refused'
subuidless run -q --rm --network=none committed true
subuidless run -q --rm -v /tmp:/mnt committed true
subuidless run -q --rm --read-only committed true
subuidless run -q --rm --hostname=x committed true
subuidless run -q --rm --storage-driver=overlay committed true
subuidless load -q -i /base.tar
mkdir /refused
for run in '--network=none true' '--mount=type=tmpfs,target=/t,size=1m true' '--mount=type=ssh true' '--mount=type=cache,target=/c false'; do
	printf 'FROM localhost/base\nRUN %s\n' "$run" > /refused/Dockerfile
	subuidless build -q /refused
done
subuidless ps -aq
ls /root/.local/share/subuidless/tmp

echo '# docs/ci/kubernetes.md'
IMAGE=$registry/me/app sh -ec "$(cat /kubernetes.sh)" 2> /dev/null | grep -v -E '^(ok|note|degraded|sha256:|  | *$)'
