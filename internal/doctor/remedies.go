package doctor

import (
	"strconv"
	"strings"
)

// remedy is what an administrator can do about one thing.
type remedy struct {
	about string
	// applies reports whether it helps here. Failed are the names of the checks that have failed.
	applies func(failed map[string]bool, s Settings) bool
	line    string                  // for a shell, in every distribution without a line of its own
	lines   map[Distribution]string // for those that differ
	here    func(s Settings) string // the line, if it depends on the machine
}

// setSysctl returns the line that sets a sysctl now and at each start.
func setSysctl(assignment string) string {
	return "echo " + assignment + " | sudo tee -a /etc/sysctl.d/90-subuidless.conf && sudo sysctl --system"
}

// packagedProgram is where the packages put the program, and packagedProfile its AppArmor profile.
const (
	packagedProgram = "/usr/bin/subuidless"
	packagedProfile = "/usr/share/subuidless/subuidless.apparmor"
)

// loadProfile returns the line that installs the AppArmor profile of this program, which is that of
// the package unless the program is elsewhere, for example in a home.
func loadProfile(s Settings) string {
	name, profile := "subuidless", "cat "+packagedProfile
	if s.Program != packagedProgram {
		name = "subuidless-home"
		text := "abi <abi/4.0>, include <tunables/global> profile " + name + " " + strconv.Quote(s.Program) + " flags=(unconfined) { userns, }"
		profile = "echo '" + strings.ReplaceAll(text, "'", `'\''`) + "'"
	}
	return profile + " | sudo tee /etc/apparmor.d/" + name + " && sudo apparmor_parser -r /etc/apparmor.d/" + name
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
		about: "AppArmor lets only programs with a profile create user namespaces",
		applies: func(failed map[string]bool, s Settings) bool {
			return failed["user namespaces"] && s.Sysctl("kernel/apparmor_restrict_unprivileged_userns") == "1"
		},
		here: loadProfile,
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
			Debian: `from=$(. /etc/os-release && echo "$VERSION_CODENAME")-backports; echo "deb http://deb.debian.org/debian $from main" | ` +
				`sudo tee /etc/apt/sources.list.d/backports.list && sudo apt-get update && ` +
				`sudo apt-get install -t "$from" "linux-image-$(dpkg --print-architecture)"`,
			Ubuntu: `sudo apt-get install "linux-generic-hwe-$(. /etc/os-release && echo "$VERSION_ID")"`,
			Fedora: "sudo dnf upgrade kernel",
			// The kernels of RHEL and Leap keep their version; these are of the community.
			RHEL: `v=$(rpm -E %rhel); sudo dnf install "https://www.elrepo.org/elrepo-release-$v.el$v.elrepo.noarch.rpm" && ` +
				"sudo dnf --enablerepo=elrepo-kernel install kernel-ml",
			SUSE: "sudo zypper addrepo --refresh https://download.opensuse.org/repositories/Kernel:/stable:/Backport/standard/ kernel-backport && " +
				"sudo zypper install --from kernel-backport kernel-default",
			Arch: "sudo pacman -Syu linux",
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
		// Versions of podman before 4.4 know slirp4netns only, those from 5 on prefer pasta, of the
		// package passt. Some releases of RHEL and SUSE have just one.
		lines: map[Distribution]string{
			Debian: "sudo apt-get install slirp4netns passt",
			Ubuntu: "sudo apt-get install slirp4netns passt",
			Fedora: "sudo dnf install passt",
			RHEL:   "sudo dnf --setopt=strict=0 install slirp4netns passt",
			SUSE:   "sudo zypper --ignore-unknown install slirp4netns passt",
			Arch:   "sudo pacman -S passt",
		},
	},
	{
		about: "there is no /etc/subuid, which podman's --userns=keep-id, nomap and auto need as a mount point; it may be empty",
		applies: func(_ map[string]bool, s Settings) bool {
			return s.Installed("podman") && !(s.Exists("/etc/subuid") && s.Exists("/etc/subgid"))
		},
		line: "sudo touch /etc/subuid /etc/subgid",
	},
}
