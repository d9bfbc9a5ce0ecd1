package userns

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Explain wraps err, an error of creating a user namespace or of using capabilities in one,
// in a message that says which setting of this machine causes it and how to change that. It
// returns err unchanged if its errno is none of those that user_namespaces(7) and clone(2)
// document for this.
func Explain(err error) error {
	if reason := explain(err, readSysctl); reason != "" {
		return fmt.Errorf("%w: %s", err, reason)
	}
	return err
}

// ExplainProc wraps err, an error of mounting a new /proc in new namespaces, in a message that
// says what the user can do. It returns err unchanged unless it is EPERM.
func ExplainProc(err error) error {
	if !errors.Is(err, unix.EPERM) {
		return err
	}
	return fmt.Errorf("%w: the kernel allows mounting a new /proc only if the existing one is fully visible, but parts of it are masked here, probably by an outer container; start the outer container with --security-opt unmask=ALL (podman), --security-opt systempaths=unconfined (docker) or procMount: Unmasked (kubernetes)", err)
}

// namespaceLimits are the limits, besides user.max_user_namespaces, that creating a
// container's namespaces can exceed: namespaces(7).
var namespaceLimits = []string{
	"user.max_mnt_namespaces", "user.max_pid_namespaces", "user.max_ipc_namespaces",
	"user.max_uts_namespaces", "user.max_net_namespaces", "user.max_cgroup_namespaces",
}

// explain returns the reason for err, or "" if it knows none. Sysctl returns the value of a
// kernel parameter, or "" if the kernel does not have it.
func explain(err error, sysctl func(name string) string) string {
	denied := errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES)
	full := errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EUSERS)
	switch {
	case full && sysctl("user.max_user_namespaces") == "0":
		return "user.max_user_namespaces is 0, which disables user namespaces; as root, run: sysctl -w user.max_user_namespaces=15000 (and keep it in /etc/sysctl.d)"
	case full:
		for _, limit := range namespaceLimits {
			if sysctl(limit) == "0" {
				return fmt.Sprintf("%s is 0; as root, run: sysctl -w %s=15000 (and keep it in /etc/sysctl.d)", limit, limit)
			}
		}
		return "the limit of namespaces is reached: user.max_user_namespaces (or another of user.max_*_namespaces) here or in an outer user namespace, or 32 nested levels; stop other containers, or raise the limit as root with sysctl -w"
	case denied && sysctl("kernel.unprivileged_userns_clone") == "0":
		return "kernel.unprivileged_userns_clone is 0, which restricts user namespaces to root; as root, run: sysctl -w kernel.unprivileged_userns_clone=1 (and keep it in /etc/sysctl.d)"
	case denied && sysctl("kernel.apparmor_restrict_unprivileged_userns") == "1":
		return "kernel.apparmor_restrict_unprivileged_userns is 1, so AppArmor denies programs the capabilities in their own user namespace; as root, either give subuidless a profile with the rule \"userns,\" in /etc/apparmor.d, or run: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
	case denied:
		return "neither kernel.unprivileged_userns_clone nor kernel.apparmor_restrict_unprivileged_userns forbids it; possible causes are a chroot, the seccomp profile of an outer container (start that container with --security-opt seccomp=unconfined) and SELinux (see the audit log)"
	case errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS):
		return "the kernel was probably built without one of CONFIG_USER_NS, CONFIG_PID_NS, CONFIG_IPC_NS, CONFIG_UTS_NS and CONFIG_NET_NS, which are required"
	}
	return ""
}

// readSysctl returns the value of a kernel parameter, or "" if it cannot be read, because the
// kernel does not have it, for example.
func readSysctl(name string) string {
	value, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(value))
}
