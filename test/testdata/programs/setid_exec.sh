# A set-user-ID program keeps its effect after root has written to it.
# Needs: getfacl
set -e
cp "$(command -v id)" prog
echo "A program of root"
chmod 6755 prog
stat -c '%a %u:%g' prog
printf x >>prog
stat -c '%a %u:%g' prog
setpriv --reuid 1000 --regid 1000 --clear-groups ./prog
chmod u-s prog
stat -c '%a %u:%g' prog
setpriv --reuid 1000 --regid 1000 --clear-groups ./prog
echo "Of a user"
chown 1001:1002 prog
chmod 4755 prog
printf x >>prog
setpriv --reuid 1000 --regid 1000 --clear-groups ./prog
truncate -s +1 prog
stat -c '%a %u:%g' prog
setpriv --reuid 1000 --regid 1000 --clear-groups ./prog
echo "Open while its mode and ACL change"
exec 3>>prog
echo x >&3
setfacl -m u:1003:rw prog
stat -c '%a %u:%g' prog
getfacl prog
chmod g-w prog
echo x >&3
stat -c '%a %u:%g' prog
setfacl -b prog
exec 3>&-
stat -c '%a %u:%g' prog
setpriv --reuid 1000 --regid 1000 --clear-groups ./prog
echo "Copied"
cp -p prog copy
stat -c '%a %u:%g' copy
tar -cpf - prog | tar -xpOf - | cmp - prog
mv prog moved
stat -c '%a %u:%g' moved
