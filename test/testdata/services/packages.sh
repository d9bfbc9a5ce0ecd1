# Packages of dpkg and rpm whose files belong to several users.
. /test/functions

echo dpkg
mkdir -p /tmp/odd/DEBIAN /tmp/odd/opt/odd/dir
cd /tmp/odd
cat >DEBIAN/control <<'END'
Package: odd
Version: 1
Architecture: all
Maintainer: nobody <nobody@example.com>
Description: odd owners
END
cat >DEBIAN/postinst <<'END'
#!/bin/sh
set -e
[ "$1" = configure ] || exit 0
getent passwd _odd >/dev/null || useradd --system -u 777 -U _odd
chown _odd:_odd /opt/odd/by-postinst
dpkg-statoverride --update --force-all --add _odd games 4750 /opt/odd/override
END
chmod 755 DEBIAN/postinst
for file in plain setuid setgid by-postinst override conf; do echo $file >opt/odd/$file; done
ln -s plain opt/odd/link
ln opt/odd/plain opt/odd/hard
mkfifo opt/odd/fifo
chown 1234:4321 opt/odd/plain opt/odd/dir
chown -h 3000000000:7 opt/odd/link
chown 8:9 opt/odd/fifo
chown 1234:0 opt/odd/setuid
chown 0:4321 opt/odd/setgid
chmod 4755 opt/odd/setuid
chmod 2755 opt/odd/setgid
chmod 2775 opt/odd/dir
echo /opt/odd/conf >DEBIAN/conffiles
chown 5:60 opt/odd/conf
dpkg-deb -b /tmp/odd /tmp/odd_1.deb >/dev/null
sed -i 's/Version: 1/Version: 2/' DEBIAN/control
chown 5678:8765 opt/odd/plain
dpkg-deb -b /tmp/odd /tmp/odd_2.deb >/dev/null
dpkg-deb -c /tmp/odd_1.deb | awk '{ print $2, $6 }' | sort
cd /
dpkg -i /tmp/odd_1.deb 2>/dev/null | grep '^Setting'
numbers /opt/odd /opt/odd/*
dpkg -V odd
dpkg-statoverride --list '*odd*'
dpkg -i /tmp/odd_2.deb 2>/dev/null | grep '^Setting'
numbers /opt/odd/*

echo rpm
cat >/tmp/odd.spec <<'END'
Name: strange
Version: 1
Release: 1
Summary: Odd owners
License: None
BuildArch: noarch
%description
Odd owners.
%install
mkdir -p %{buildroot}/opt/strange/dir
cd %{buildroot}/opt/strange
for file in plain setuid setgid both capable; do echo $file >$file; done
ln -s plain link
%pre
getent group strange >/dev/null || groupadd -r -g 778 strange
getent passwd strange >/dev/null || useradd -r -u 778 -g strange strange
%post
id strange
stat -c '%%n %%A %%U:%%G' /opt/strange/plain
%files
%attr(640, strange, games) /opt/strange/plain
%attr(4755, daemon, mail) /opt/strange/setuid
%attr(2755, root, tty) /opt/strange/setgid
%attr(6711, strange, strange) /opt/strange/both
%attr(1777, news, news) %dir /opt/strange/dir
%attr(-, www-data, www-data) /opt/strange/link
%caps(cap_net_raw=ep) %attr(755, root, root) /opt/strange/capable
END
rpmbuild -bb --quiet --define '_topdir /tmp/rpm' /tmp/odd.spec 2>/dev/null
rpm -i --nodeps --force-debian /tmp/rpm/RPMS/noarch/strange-1-1.noarch.rpm
stat -c '%n %A %U:%G' /opt/strange/*
getcap /opt/strange/capable
rpm -q --qf '[%{FILENAMES} %{FILEUSERNAME}:%{FILEGROUPNAME}\n]' strange
rpm -V --nodeps strange && echo verified
chown bin /opt/strange/plain
rpm -V --nodeps strange || true
rpm --restore strange || true
numbers /opt/strange/plain
