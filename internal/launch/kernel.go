package launch

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// DefaultUmask is that of docker and podman.
const DefaultUmask = "0022"

// ParseUmask checks the umask of a container, octal digits, and returns it with four of them.
func ParseUmask(text string) (string, error) {
	n, err := parseUmask(text)
	return fmt.Sprintf("%04o", n), err
}

func parseUmask(text string) (int, error) {
	n, err := strconv.ParseUint(text, 8, 16)
	if err != nil || n > 0o777 {
		return 0, fmt.Errorf("umask %q: must be octal, from 0 to 777", text)
	}
	return int(n), nil
}

// ipcSysctls are the sysctls of an IPC namespace: ipc_namespaces(7). Its others begin with fs.mqueue.
var ipcSysctls = []string{
	"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced",
}

// ParseSysctl checks a sysctl in docker's form, NAME=VALUE. It must be one that each IPC or network
// namespace has of its own.
func ParseSysctl(text string) (string, error) {
	name, value, given := strings.Cut(text, "=")
	switch {
	case !given || name == "" || value == "":
		return "", fmt.Errorf("%q: must be NAME=VALUE", text)
	case slices.Contains(strings.Split(name, "."), "") || strings.ContainsAny(name, "/\x00"):
		return "", fmt.Errorf("%q: words separated by dots are the name of a sysctl", name)
	case slices.Contains(ipcSysctls, name), strings.HasPrefix(name, "fs.mqueue."), ofNetwork(text):
		return text, nil
	}
	return "", fmt.Errorf("%q is the same for the whole machine: a container can set only net.*, fs.mqueue.* and %s", name, strings.Join(ipcSysctls, ", "))
}

// ofNetwork reports whether a network namespace has the sysctl NAME=VALUE.
func ofNetwork(sysctl string) bool { return strings.HasPrefix(sysctl, "net.") }

// CheckSysctls returns an error if a sysctl is one of the host's network.
func (o *RunOptions) CheckSysctls() error {
	if i := slices.IndexFunc(o.Sysctls, ofNetwork); i >= 0 && o.Net != NetNone {
		return fmt.Errorf("sysctl %s: the container has the network of the host; only with --network=%s can it be set", o.Sysctls[i], NetNone)
	}
	return nil
}

// setSysctls sets the sysctls of the new namespaces. /proc is that of the container.
func setSysctls(list []string) error {
	for _, text := range list {
		name, value, _ := strings.Cut(text, "=")
		f, err := os.OpenFile("/proc/sys/"+strings.ReplaceAll(name, ".", "/"), os.O_WRONLY, 0)
		if err == nil {
			_, err = f.WriteString(value)
			err = errors.Join(err, f.Close())
		}
		switch {
		case err == nil:
		case errors.Is(err, unix.ENOENT):
			return fmt.Errorf("sysctl %s: this kernel does not have it, or not for a container", name)
		case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
			return fmt.Errorf("sysctl %s: %w: this kernel lets only root of the host set it", name, errnoOf(err))
		default:
			return fmt.Errorf("sysctl %s: %w", text, errnoOf(err))
		}
	}
	return nil
}
