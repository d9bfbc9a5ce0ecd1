package doctor

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestDistributionOf(t *testing.T) {
	for _, tt := range []struct {
		osRelease string
		want      Distribution
	}{
		{"NAME=x\nID=debian\n", Debian},
		{"ID=ubuntu\nID_LIKE=debian\n", Ubuntu},
		{"ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", Ubuntu},
		{"ID_LIKE=\"rhel centos fedora\"\nID=\"rocky\"\n", RHEL},
		{"ID='fedora'\n", Fedora},
		{"ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n", SUSE},
		{"ID=\"sles\"\n", SUSE},
		{"ID=manjaro\nID_LIKE=arch\n", Arch},
		{"ID=alpine\n", ""},
		{"", ""},
	} {
		if got, ok := DistributionOf(strings.NewReader(tt.osRelease)); got != tt.want || ok != (tt.want != "") {
			t.Errorf("%q: %q, %v, want %q", tt.osRelease, got, ok, tt.want)
		}
	}
}

// fine are the settings of a machine that lacks nothing.
func fine() Settings {
	yes := func(string) bool { return true }
	return Settings{Sysctl: func(string) string { return "1" }, Installed: yes, Filesystem: yes, CanOpen: yes, Exists: yes, Program: packagedProgram}
}

// Each thing that is wrong leads to one hint for each distribution.
func TestHints(t *testing.T) {
	broken := func(name string) []Finding { return []Finding{{Check: Check{Name: name}, Err: errors.New("broken")}} }
	set := func(name, value string) func(*Settings) {
		return func(s *Settings) {
			s.Sysctl = func(n string) string {
				if n == name {
					return value
				}
				return ""
			}
		}
	}
	no := func(what string) func(string) bool {
		return func(name string) bool { return !strings.Contains(what, name) }
	}
	for _, tt := range []struct {
		name     string
		findings []Finding
		change   func(*Settings)
		debian   string // the line for Debian
	}{
		{"nothing", nil, func(*Settings) {}, ""},
		{"another check", broken("processor"), func(*Settings) {}, ""},
		{"no namespaces", broken("user namespaces"), set("user/max_user_namespaces", "0"), setSysctl("user.max_user_namespaces=15000")},
		{"none for users", broken("user namespaces"), set("kernel/unprivileged_userns_clone", "0"), setSysctl("kernel.unprivileged_userns_clone=1")},
		{"AppArmor", broken("user namespaces"), set("kernel/apparmor_restrict_unprivileged_userns", "1"),
			"cat /usr/share/subuidless/subuidless.apparmor | sudo tee /etc/apparmor.d/subuidless && sudo apparmor_parser -r /etc/apparmor.d/subuidless"},
		{"AppArmor in a home", broken("user namespaces"), func(s *Settings) {
			set("kernel/apparmor_restrict_unprivileged_userns", "1")(s)
			s.Program = "/home/o'hara/bin/subuidless"
		}, `echo 'abi <abi/4.0>, include <tunables/global> profile subuidless-home "/home/o'\''hara/bin/subuidless" flags=(unconfined) { userns, }'` +
			" | sudo tee /etc/apparmor.d/subuidless-home && sudo apparmor_parser -r /etc/apparmor.d/subuidless-home"},
		{"AppArmor with a profile", nil, set("kernel/apparmor_restrict_unprivileged_userns", "1"), ""},
		{"Yama", nil, set("kernel/yama/ptrace_scope", "3"), "echo kernel.yama.ptrace_scope=1 | sudo tee -a /etc/sysctl.d/90-subuidless.conf && sudo reboot"},
		{"memfd", nil, set("vm/memfd_noexec", "2"), setSysctl("vm.memfd_noexec=1")},
		{"locks", broken("limit on file locks"), func(*Settings) {}, "echo '* hard locks unlimited' | sudo tee /etc/security/limits.d/90-subuidless.conf"},
		{"kernel", append(broken("killable wait"), broken("adding descriptors")...), func(*Settings) {}, remedies[6].lines[Debian]},
		{"overlay", nil, func(s *Settings) { s.Filesystem = no("overlay") }, "echo overlay | sudo tee /etc/modules-load.d/overlay.conf && sudo modprobe overlay"},
		{"fuse", nil, func(s *Settings) { s.CanOpen = no("/dev/fuse") }, "echo fuse | sudo tee /etc/modules-load.d/fuse.conf && sudo modprobe fuse && sudo chmod 666 /dev/fuse"},
		{"tun", nil, func(s *Settings) { s.CanOpen = no("/dev/net/tun") }, "echo tun | sudo tee /etc/modules-load.d/tun.conf && sudo modprobe tun && sudo chmod 666 /dev/net/tun"},
		{"network", nil, func(s *Settings) { s.Installed = no("pasta slirp4netns") }, "sudo apt-get install slirp4netns passt"},
		{"no podman", nil, func(s *Settings) { s.Installed, s.CanOpen = no("podman pasta slirp4netns"), no("/dev/net/tun") }, ""},
		{"subuid", nil, func(s *Settings) { s.Exists = no("/etc/subgid") }, "sudo touch /etc/subuid /etc/subgid"},
	} {
		s := fine()
		tt.change(&s)
		for _, d := range Distributions {
			hints := Hints(tt.findings, s, d)
			if tt.debian == "" {
				if len(hints) > 0 {
					t.Errorf("%s, %s: %v, want none", tt.name, d, hints)
				}
				continue
			}
			if len(hints) != 1 || hints[0].About == "" || hints[0].Line == "" || d == Debian && hints[0].Line != tt.debian {
				t.Errorf("%s, %s: %q, want %q", tt.name, d, hints, tt.debian)
				continue
			}
			if out, err := exec.Command("sh", "-n", "-c", hints[0].Line).CombinedOutput(); err != nil {
				t.Errorf("%s, %s: %v: %s", tt.name, d, err, out)
			}
		}
	}
}

// The lines that write files do that with programs which stand in for sudo and those that need root.
func TestHintLines(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	for name, script := range map[string]string{
		"sudo": "\"$@\"", "sysctl": "test \"$*\" = --system", "modprobe": "test -n \"$1\"", "reboot": "true", "chmod": "test \"$1\" = 666",
		"tee": "mkdir -p \"" + root + "\"\nfor last; do :; done\ncat >>\"" + root + "/${last##*/}\"",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range remedies {
		if !strings.HasPrefix(r.line, "echo ") {
			continue
		}
		cmd := exec.Command("sh", "-c", r.line)
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", r.line, err, out)
		}
	}
	got, err := os.ReadFile(filepath.Join(root, "90-subuidless.conf"))
	const want = "user.max_user_namespaces=15000\nkernel.unprivileged_userns_clone=1\nkernel.yama.ptrace_scope=1\nvm.memfd_noexec=1\n* hard locks unlimited\n"
	if err != nil || string(got) != want {
		t.Errorf("%v, %q, want %q", err, got, want)
	}
}

func TestPrintHints(t *testing.T) {
	var b strings.Builder
	if err := PrintHints(&b, []Hint{{"the stove is cold", "sudo light"}}, Arch); err != nil {
		t.Fatal(err)
	}
	const want = "\nFor the administrator (arch):\n\n# the stove is cold\nsudo light\n\nNot needed: newuidmap, entries in /etc/subuid, and any set-user-ID program.\n"
	if b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
	b.Reset()
	if err := PrintHints(&b, nil, Arch); err != nil || !strings.HasPrefix(b.String(), "\nThere is nothing") {
		t.Errorf("without hints: %v, %q", err, b.String())
	}
}
