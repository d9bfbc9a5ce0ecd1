package bundle

import (
	"encoding/json"
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Default returns a config.json for a shell in the directory "rootfs" of
// the bundle, in which root can do what the kernel allows the root of a user
// namespace. It is to be completed by Rewrite.
func Default() ([]byte, error) {
	namespaces := []specs.LinuxNamespace{
		{Type: specs.PIDNamespace},
		{Type: specs.IPCNamespace},
		{Type: specs.UTSNamespace},
		{Type: specs.MountNamespace},
		// No network namespace: a new one has no network without further help.
	}
	unified, err := unifiedCgroups()
	if err != nil {
		return nil, err
	}
	if unified {
		namespaces = append(namespaces, specs.LinuxNamespace{Type: specs.CgroupNamespace})
	}
	spec := specs.Spec{
		// Seccomp agents are of version 1.1.0, but the first runtimes that
		// know them announce 1.0.2.
		Version:  "1.0.2",
		Root:     &specs.Root{Path: "rootfs"},
		Hostname: "subuidless",
		Process: &specs.Process{
			Terminal: true,
			Args:     []string{"sh"},
			Env: []string{
				"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
				"TERM=xterm",
			},
			Cwd: "/",
			Capabilities: &specs.LinuxCapabilities{
				Bounding:  capabilities,
				Effective: capabilities,
				Permitted: capabilities,
			},
			// Set-user-id programs would not work, and sudo(8) refuses to.
			NoNewPrivileges: false,
		},
		Mounts: mounts,
		Linux: &specs.Linux{
			Namespaces: namespaces,
			MaskedPaths: []string{
				"/proc/acpi",
				"/proc/asound",
				"/proc/kcore",
				"/proc/keys",
				"/proc/latency_stats",
				"/proc/timer_list",
				"/proc/timer_stats",
				"/proc/sched_debug",
				"/sys/firmware",
				"/proc/scsi",
			},
			ReadonlyPaths: []string{
				"/proc/bus",
				"/proc/fs",
				"/proc/irq",
				"/proc/sys",
				"/proc/sysrq-trigger",
			},
		},
	}
	return json.MarshalIndent(spec, "", "\t")
}

// unifiedCgroups tells whether the machine has cgroup version 2 only. A cgroup
// namespace is of use then.
func unifiedCgroups() (bool, error) {
	const mountPoint = "/sys/fs/cgroup"
	var fs unix.Statfs_t
	if err := unix.Statfs(mountPoint, &fs); err != nil {
		if err == unix.ENOENT {
			return false, nil
		}
		return false, fmt.Errorf("statfs %s: %w", mountPoint, err)
	}
	return fs.Type == unix.CGROUP2_SUPER_MAGIC, nil
}

// capabilities are those that the kernel honours in a user namespace, and
// those that this program emulates. Others would be shown and not work.
var capabilities = []string{
	"CAP_AUDIT_WRITE",
	"CAP_CHECKPOINT_RESTORE",
	"CAP_CHOWN",
	"CAP_DAC_OVERRIDE",
	"CAP_DAC_READ_SEARCH",
	"CAP_FOWNER",
	"CAP_FSETID",
	"CAP_IPC_LOCK",
	"CAP_IPC_OWNER",
	"CAP_KILL",
	"CAP_LEASE",
	"CAP_MKNOD",
	"CAP_NET_ADMIN",
	"CAP_NET_BIND_SERVICE",
	"CAP_NET_BROADCAST",
	"CAP_NET_RAW",
	"CAP_SETFCAP",
	"CAP_SETGID",
	"CAP_SETPCAP",
	"CAP_SETUID",
	"CAP_SYS_ADMIN",
	"CAP_SYS_BOOT",
	"CAP_SYS_CHROOT",
	"CAP_SYS_NICE",
	"CAP_SYS_PTRACE",
	"CAP_SYS_RESOURCE",
}

var mounts = []specs.Mount{
	{Destination: "/proc", Type: "proc", Source: "proc"},
	{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
	{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}},
	{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
	{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
	{Destination: "/sys", Type: "none", Source: "/sys", Options: []string{"rbind", "nosuid", "noexec", "nodev", "ro"}},
}
