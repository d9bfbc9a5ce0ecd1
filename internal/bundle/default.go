package bundle

import (
	"encoding/json"
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Default returns a config.json that runs sh in the bundle's directory "rootfs", as root with
// all capabilities that work in a user namespace. It has neither a user namespace nor a
// seccomp profile: Rewrite adds them. It is an error if the host's cgroups cannot be
// inspected.
func Default() ([]byte, error) {
	namespaces := []specs.LinuxNamespace{
		{Type: specs.PIDNamespace},
		{Type: specs.IPCNamespace},
		{Type: specs.UTSNamespace},
		{Type: specs.MountNamespace},
		// No network namespace: a new one has no connectivity until it is configured.
	}
	unified, err := unifiedCgroups()
	if err != nil {
		return nil, err
	}
	if unified {
		namespaces = append(namespaces, specs.LinuxNamespace{Type: specs.CgroupNamespace})
	}
	spec := specs.Spec{
		// The specification has seccomp agents since 1.1.0, but the first runtimes that
		// support them announce 1.0.2.
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
			// With no_new_privs, set-user-ID programs do not work, and sudo(8) does
			// not run.
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

// unifiedCgroups reports whether the machine uses cgroup version 2 only: a cgroup namespace is
// useful then.
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

// capabilities are those that the kernel honours in a user namespace and those that
// subuidless emulates. Any others would appear in the container, but have no effect.
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
