# What one process may see of another in /proc.
sleep 5 & root=$!
setpriv --reuid 1000 --regid 1000 --clear-groups sh -c 'sleep 3 & own=$!; sleep 0.1; for p in '$root' $own self; do for f in exe cwd ns/mnt; do readlink /proc/$p/$f | sed "s/[0-9]\{5,\}/N/"; stat -Lc %F /proc/$p/$f; done; for f in maps smaps environ status smaps_rollup io; do head -c1 /proc/$p/$f | wc -c; done; ls /proc/$p/fd | wc -l; cd /proc/$p/cwd && echo in; ls /proc/$p/fdinfo | wc -l; done' 2>&1 | sed "s/[0-9]\{4,\}/PID/g"
