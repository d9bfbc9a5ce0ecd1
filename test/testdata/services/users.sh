# Creating users, and changing between them with set-id programs.
. /test/functions
try() { "$@" 2>/dev/null || echo "status $?"; }

echo 127.0.0.1 box >>/etc/hosts # sudo looks it up
useradd -m -s /bin/sh -c Ann ann
useradd -m -u 5000 -U -s /bin/bash bob
useradd --system --no-create-home --shell /usr/sbin/nologin worker
adduser --quiet --disabled-password --gecos Carl carl
groupadd -g 6000 crew
usermod -aG crew ann
printf 'ann:one-2-three\nbob:four-5-six\n' | chpasswd
look /home/* /home/ann/.profile /etc/passwd /etc/shadow /etc/group /etc/gshadow
for user in ann bob worker carl; do id $user; done

echo "su, from root"
su ann -c 'id; whoami; umask 027; touch ~/file; mkdir ~/dir; ln -s file ~/link; mkfifo ~/fifo'
su - bob -c 'id -un; pwd; echo $HOME'
look /home/ann/file /home/ann/dir /home/ann/link /home/ann/fifo
runuser -u ann -g crew -- id
setpriv --reuid ann --regid crew --init-groups id
setpriv --reuid bob --regid bob --clear-groups id
chroot --userspec=bob:crew --groups=4,24 / id
start-stop-daemon --start --quiet --chuid ann:crew --exec /usr/bin/id

echo "su, with a password"
try su ann -c 'echo four-5-six | su bob -c id'
try su ann -c 'echo wrong | su bob -c id'
try su bob -c 'echo one-2-three | su ann -c "sg crew id"'

echo "passwd, chage, chsh, chfn"
printf 'one-2-three\nseven-8-nine\nseven-8-nine\n' | try su ann -c passwd
look /etc/shadow
try su bob -c 'echo seven-8-nine | su ann -c "id -un"'
try su bob -c 'passwd ann'
chage -d 2024-01-02 -M 99999 ann
chage -l ann
try su ann -c 'chage -l ann' | head -n 1
try su bob -c 'chage -l ann'
try su ann -c 'printf "seven-8-nine\0" | /usr/sbin/unix_chkpwd ann nullok && echo checked'
try su ann -c 'echo seven-8-nine | chsh -s /bin/bash'
getent passwd ann
look /etc/passwd

echo "groups"
try su ann -c 'sg crew "id -gn; touch ~/of-crew"'
echo 'id -gn' | try su ann -c 'newgrp crew'
try su bob -c 'sg crew id' </dev/null
look /home/ann/of-crew
gpasswd -A ann crew
try su ann -c 'gpasswd -a bob crew'
try su carl -c 'gpasswd -a carl crew'
groups bob

echo "sudo"
cat >/etc/sudoers.d/test <<'END'
ann ALL=(ALL:ALL) NOPASSWD: ALL
bob ALL=(ALL:ALL) ALL
END
chmod 440 /etc/sudoers.d/test
visudo -cq
sudo -u ann id
sudo -u '#5000' -g crew id
try su ann -c 'sudo id'
try su ann -c 'sudo -u bob sh -c "id; touch ~/by-ann"'
look /home/bob/by-ann
try su bob -c 'echo four-5-six | sudo -S -p "" id'
try su bob -c 'echo wrong | sudo -k -S -p "" id'
try su bob -c 'sudo -k -n id'
try su carl -c 'sudo -n id'
look /run/sudo/ts /run/sudo/ts/*

echo "what a user may not"
refused() { su ann -c "$1" 2>&1 | sed 's/.*: //'; }
refused 'chown bob ~/file'
refused 'chgrp bob ~/file'
refused 'chmod 777 /home/bob'
refused 'touch -d 2020-01-01 /home/bob'
refused 'chroot / true'
refused 'hostname other'
refused 'mknod ~/null c 1 3'
refused 'renice -n -5 -p $$'
refused 'kill -0 1'
refused 'setpriv --reuid bob id'
refused 'setpriv --groups bob id'
su ann -c 'chgrp crew ~/file && chmod 2750 ~/file'
look /home/ann/file

userdel -r carl 2>/dev/null
deluser --quiet --system worker
ls /home
