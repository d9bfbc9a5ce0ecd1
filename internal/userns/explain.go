package userns

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Explain adds to err, the failure to create a user namespace or to use the
// privileges in one, which rule of this machine forbids it and what to do. An
// error that no rule explains is returned as it is.
func Explain(err error) error {
	if reason := explain(err, readSysctl); reason != "" {
		return fmt.Errorf("%w: %s", err, reason)
	}
	return err
}

// namespaceLimits are the limits besides user.max_user_namespaces that creating
// a container's namespaces may meet; see namespaces(7).
var namespaceLimits = []string{
	"user.max_mnt_namespaces", "user.max_pid_namespaces", "user.max_ipc_namespaces",
	"user.max_uts_namespaces", "user.max_net_namespaces", "user.max_cgroup_namespaces",
}

// explain returns the reason for err, or "". Sysctl returns the value of a
// kernel parameter, or "" if this kernel has no such parameter.
func explain(err error, sysctl func(name string) string) string {
	denied := errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES)
	full := errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EUSERS)
	switch {
	case full && sysctl("user.max_user_namespaces") == "0":
		return "user.max_user_namespaces is 0, which switches user namespaces off; as root, run: sysctl -w user.max_user_namespaces=15000 (and keep it in /etc/sysctl.d)"
	case full:
		for _, limit := range namespaceLimits {
			if sysctl(limit) == "0" {
				return fmt.Sprintf("%s is 0; as root, run: sysctl -w %s=15000 (and keep it in /etc/sysctl.d)", limit, limit)
			}
		}
		return "the limit of namespaces is reached: user.max_user_namespaces (or another of user.max_*_namespaces) here or in an outer user namespace, or 32 nested levels; end other containers, or raise the limit as root with sysctl -w"
	case denied && sysctl("kernel.unprivileged_userns_clone") == "0":
		return "kernel.unprivileged_userns_clone is 0, which keeps user namespaces for root; as root, run: sysctl -w kernel.unprivileged_userns_clone=1 (and keep it in /etc/sysctl.d)"
	case denied && sysctl("kernel.apparmor_restrict_unprivileged_userns") == "1":
		return "kernel.apparmor_restrict_unprivileged_userns is 1: AppArmor takes the privileges away that a program has in its own user namespace; as root, either give subuidless a profile with the rule \"userns,\" in /etc/apparmor.d, or run: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
	case denied:
		return "neither kernel.unprivileged_userns_clone nor AppArmor's sysctl forbids user namespaces, so it is a chroot, or the seccomp profile of an outer container (start that one with --security-opt seccomp=unconfined), or SELinux (see the audit log)"
	case errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS):
		return "this kernel may be built without one of CONFIG_USER_NS, CONFIG_PID_NS, CONFIG_IPC_NS, CONFIG_UTS_NS and CONFIG_NET_NS, which are needed"
	}
	return ""
}

// readSysctl returns the value of a kernel parameter, or "" if it cannot be
// read: kernels differ in which they have.
func readSysctl(name string) string {
	value, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(value))
}
