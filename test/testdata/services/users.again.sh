. /test/functions
id ann
id bob
numbers /home/* /home/ann/* /home/bob/* /etc/passwd /etc/shadow /etc/gshadow /run/sudo/ts/*
su bob -c 'echo seven-8-nine | su ann -c "sudo id" 2>/dev/null'
