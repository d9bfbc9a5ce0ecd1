#!/bin/sh
set -e
# dpkg says remove or upgrade, rpm how many versions stay.
case $1 in
remove | 0) ;;
*) exit 0 ;;
esac
if [ -e /etc/apparmor.d/subuidless ]; then
	if command -v apparmor_parser >/dev/null && [ -d /sys/kernel/security/apparmor ]; then
		apparmor_parser -R /etc/apparmor.d/subuidless || true # it may not be loaded
	fi
	rm -f /etc/apparmor.d/subuidless
fi
if command -v update-alternatives >/dev/null; then
	update-alternatives --remove fakeroot /usr/bin/fakeroot-subuidless || true # it may not be one
fi
