. /test/functions
rm -f /run/notify
python3 /test/notify.py receive /run/notify 1 >/tmp/received &
wait_for test -S /run/notify
su bob -c "python3 /test/notify.py send /run/notify READY=1"
wait
cat /tmp/received
