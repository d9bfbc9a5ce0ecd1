# What a user does who has nothing but the binary. The container has the sockets of its servers in
# ~/sockets.
set -eu
image=$REGISTRY/servers
build() {
	subuidless build --progress=plain -t "$image" --build-arg REGISTRY="$REGISTRY" --build-arg MIRROR="$MIRROR" /context >&2
}
build
subuidless push -q "$image" >&2
subuidless rmi --all >&2
subuidless prune --force --all >&2
test -z "$(subuidless images -q)"
subuidless pull -q "$image" >&2
subuidless run -d -q --name servers -v "$HOME/sockets:/sockets" "$image" >&2
until subuidless exec servers sh -c 'test -S /sockets/web && pg_isready -q'; do
	test "$(subuidless inspect -f '{{.State.Status}}' servers)" = running || {
		subuidless logs servers >&2
		exit 1
	}
	sleep 0.1
done
subuidless exec servers psql -Atc "create table t (n int); insert into t select generate_series(1, 100); select sum(n), current_user from t" | tail -n 1
subuidless exec servers sh -c 'id -un; id -Gn'
subuidless exec -u 0 servers stat -c '%U:%G %a' /var/lib/postgresql/15/main /etc/shadow
subuidless exec -u 0 servers stat -c '%U:%G %u:%g %a' /srv/site/page /srv/serve /home/site
echo serving
read -r _
subuidless stop servers >&2
subuidless logs servers >&2
subuidless rm servers >&2
