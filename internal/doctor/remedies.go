package doctor

// remedy is what an administrator can do about one thing.
type remedy struct {
	about string
	// applies reports whether it helps here. Failed are the names of the checks that have failed.
	applies func(failed map[string]bool, s Settings) bool
	line    string                  // for a shell, in every distribution without a line of its own
	lines   map[Distribution]string // for those that differ
}

// setSysctl returns the line that sets a sysctl now and at each start.
func setSysctl(assignment string) string {
	return "echo " + assignment + " | sudo tee -a /etc/sysctl.d/90-subuidless.conf && sudo sysctl --system"
}

// install returns the lines that install a package, whose name may differ on some distributions.
func install(name string, others map[Distribution]string) map[Distribution]string {
	lines := map[Distribution]string{}
	for _, d := range Distributions {
		p := name
		if other := others[d]; other != "" {
			p = other
		}
		lines[d] = installers[d] + p
	}
	return lines
}

var installers = map[Distribution]string{
	Debian: "sudo apt-get install ", Ubuntu: "sudo apt-get install ", Fedora: "sudo dnf install ",
	RHEL: "sudo dnf install ", SUSE: "sudo zypper install ", Arch: "sudo pacman -S ",
}

// when returns the condition that one of the checks has failed.
func when(checks ...string) func(map[string]bool, Settings) bool {
	return func(failed map[string]bool, _ Settings) bool {
		for _, c := range checks {
			if failed[c] {
				return true
			}
		}
		return false
	}
}

// whenSysctl returns the condition that a sysctl has a value.
func whenSysctl(name, value string) func(map[string]bool, Settings) bool {
	return func(_ map[string]bool, s Settings) bool { return s.Sysctl(name) == value }
}

// remedies are all remedies, in the order in which they are shown.
var remedies = []remedy{
	{
		about:   "user.max_user_namespaces is 0: nobody can create a user namespace",
		applies: whenSysctl("user/max_user_namespaces", "0"),
		line:    setSysctl("user.max_user_namespaces=15000"),
	},
	{
		about:   "kernel.unprivileged_userns_clone is 0: only root can create user namespaces",
		applies: whenSysctl("kernel/unprivileged_userns_clone", "0"),
		line:    setSysctl("kernel.unprivileged_userns_clone=1"),
	},
	{
		about: "AppArmor lets only programs with a profile create user namespaces; the packages install it (for a program elsewhere: docs/install.md)",
		applies: func(failed map[string]bool, s Settings) bool {
			return failed["user namespaces"] && s.Sysctl("kernel/apparmor_restrict_unprivileged_userns") == "1"
		},
		line: "sudo cp /usr/share/subuidless/subuidless.apparmor /etc/apparmor.d/subuidless && sudo apparmor_parser -r /etc/apparmor.d/subuidless",
	},
	{
		about:   "kernel.yama.ptrace_scope is 3, which only a reboot can change: the supervisor cannot read the memory of processes",
		applies: whenSysctl("kernel/yama/ptrace_scope", "3"),
		line:    "echo kernel.yama.ptrace_scope=1 | sudo tee -a /etc/sysctl.d/90-subuidless.conf && sudo reboot",
	},
	{
		about:   "vm.memfd_noexec is 2: subuidless run cannot execute a copy of itself",
		applies: whenSysctl("vm/memfd_noexec", "2"),
		line:    setSysctl("vm.memfd_noexec=1"),
	},
	{
		about:   "the hard limit on file locks is not unlimited: no program can switch to another user (effective at the next login)",
		applies: when("limit on file locks"),
		line:    "echo '* hard locks unlimited' | sudo tee /etc/security/limits.d/90-subuidless.conf",
	},
	{
		about:   "the kernel is too old for some of what is missing or degraded: see \"available since\" (effective after a reboot)",
		applies: when("seccomp user notification", "pidfd_getfd", "synchronous wake-up", "killable wait", "adding descriptors", "xattrs on tmpfs"),
		lines: map[Distribution]string{
			Debian: `sudo apt-get install -t "$(. /etc/os-release && echo "$VERSION_CODENAME")-backports" "linux-image-$(dpkg --print-architecture)"`,
			Ubuntu: `sudo apt-get install "linux-generic-hwe-$(. /etc/os-release && echo "$VERSION_ID")"`,
			Fedora: "sudo dnf upgrade kernel",
			RHEL:   "sudo dnf upgrade kernel",
			SUSE:   "sudo zypper update kernel-default",
			Arch:   "sudo pacman -Syu linux",
		},
	},
	{
		about:   "the kernel has no overlayfs now: containers of images are copies, which start slowly",
		applies: func(_ map[string]bool, s Settings) bool { return !s.Filesystem("overlay") },
		line:    "echo overlay | sudo tee /etc/modules-load.d/overlay.conf && sudo modprobe overlay",
	},
	{
		about:   "the kernel has no FUSE now, or you may not use it: fuse-overlayfs, bindfs and sshfs do not work in containers",
		applies: func(_ map[string]bool, s Settings) bool { return !s.CanOpen("/dev/fuse") },
		line:    "echo fuse | sudo tee /etc/modules-load.d/fuse.conf && sudo modprobe fuse && sudo chmod 666 /dev/fuse",
	},
	{
		about: "/dev/net/tun is missing or closed: containers of podman have no network except for --network=host and none",
		applies: func(_ map[string]bool, s Settings) bool {
			return s.Installed("podman") && !s.CanOpen("/dev/net/tun")
		},
		line: "echo tun | sudo tee /etc/modules-load.d/tun.conf && sudo modprobe tun && sudo chmod 666 /dev/net/tun",
	},
	{
		about: "neither pasta nor slirp4netns is installed: containers of podman have no network except for --network=host and none",
		applies: func(_ map[string]bool, s Settings) bool {
			return s.Installed("podman") && !s.Installed("pasta") && !s.Installed("slirp4netns")
		},
		lines: install("passt", map[Distribution]string{RHEL: "slirp4netns"}),
	},
	{
		about: "there is no /etc/subuid, which podman's --userns=keep-id, nomap and auto need as a mount point; it may be empty",
		applies: func(_ map[string]bool, s Settings) bool {
			return s.Installed("podman") && !(s.Exists("/etc/subuid") && s.Exists("/etc/subgid"))
		},
		line: "sudo touch /etc/subuid /etc/subgid",
	},
}
