package doctor

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Distribution is a family of Linux distributions, whose administrators type the same commands.
type Distribution string

// The distributions that there are hints for.
const (
	Debian Distribution = "debian"
	Ubuntu Distribution = "ubuntu"
	Fedora Distribution = "fedora"
	RHEL   Distribution = "rhel"
	SUSE   Distribution = "suse"
	Arch   Distribution = "arch"
)

// Distributions are the distributions that there are hints for.
var Distributions = []Distribution{Debian, Ubuntu, Fedora, RHEL, SUSE, Arch}

// DistributionOf returns the distribution that a file in the form of os-release(5) describes: the
// first one of ID and ID_LIKE that is known. Ok is false if none is.
func DistributionOf(osRelease io.Reader) (d Distribution, ok bool) {
	var id, like []string
	for lines := bufio.NewScanner(osRelease); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), "=")
		switch words := strings.Fields(strings.Trim(value, `"'`)); key {
		case "ID":
			id = words
		case "ID_LIKE":
			like = words
		}
	}
	for _, word := range append(id, like...) {
		switch {
		case strings.HasPrefix(word, "opensuse") || word == "sles":
			return SUSE, true
		case slices.Contains(Distributions, Distribution(word)):
			return Distribution(word), true
		}
	}
	return "", false
}

// ThisDistribution returns the distribution of this machine.
func ThisDistribution() (d Distribution, ok bool) {
	for _, name := range []string{"/etc/os-release", "/usr/lib/os-release"} { // in the order of os-release(5)
		if f, err := os.Open(name); err == nil {
			defer f.Close()
			return DistributionOf(f)
		}
	}
	return "", false
}

// Settings are what hints depend on besides findings.
type Settings struct {
	Sysctl     func(name string) string // value of a sysctl, with slashes; empty: there is none
	Installed  func(program string) bool
	Filesystem func(name string) bool // the kernel has it now
	CanOpen    func(device string) bool
	Exists     func(path string) bool
	Program    string // path of this program
}

// ReadSettings returns the settings of this machine.
func ReadSettings() (Settings, error) {
	program, err := os.Executable()
	if err != nil {
		return Settings{}, fmt.Errorf("finding this program: %w", err)
	}
	return Settings{
		Program: program,
		Sysctl: func(name string) string {
			value, err := os.ReadFile("/proc/sys/" + name)
			if err != nil {
				return ""
			}
			return strings.TrimSpace(string(value))
		},
		Installed: func(program string) bool { _, err := exec.LookPath(program); return err == nil },
		Filesystem: func(name string) bool {
			list, err := os.ReadFile("/proc/filesystems")
			return err == nil && slices.Contains(strings.Fields(string(list)), name)
		},
		CanOpen: func(device string) bool { return unix.Access(device, unix.R_OK|unix.W_OK) == nil },
		Exists:  func(path string) bool { _, err := os.Stat(path); return err == nil },
	}, nil
}

// Hint is what the administrator can do about something.
type Hint struct {
	About string // what is wrong
	Line  string // for a shell
}

// Hints returns what the administrator of a distribution can do about what is missing. Findings are
// those of Checks.
func Hints(findings []Finding, s Settings, d Distribution) []Hint {
	failed := map[string]bool{}
	for _, f := range findings {
		failed[f.Check.Name] = f.Err != nil
	}
	var hints []Hint
	for _, r := range remedies {
		if !r.applies(failed, s) {
			continue
		}
		line := r.lines[d]
		if line == "" {
			line = r.line
		}
		if r.here != nil {
			line = r.here(s)
		}
		hints = append(hints, Hint{r.about, line})
	}
	return hints
}

// PrintHints writes hints for the administrator of a distribution. It returns the error of writing.
func PrintHints(w io.Writer, hints []Hint, d Distribution) error {
	var b strings.Builder
	if len(hints) == 0 {
		b.WriteString("\nThere is nothing that an administrator should change.\n")
	} else {
		fmt.Fprintf(&b, "\nFor the administrator (%s):\n", d)
	}
	for _, h := range hints {
		fmt.Fprintf(&b, "\n# %s\n%s\n", h.About, h.Line)
	}
	b.WriteString("\nNot needed: newuidmap, entries in /etc/subuid, and any set-user-ID program.\n")
	_, err := io.WriteString(w, b.String())
	return err
}
