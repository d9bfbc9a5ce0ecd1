package doctor

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strings"
	"time"
)

// installed returns a probe that reports the version of a container runtime. None is needed,
// because of subuidless run.
func installed(program string) func(*Machine) (string, error) {
	return func(*Machine) (string, error) {
		path, err := exec.LookPath(program)
		if err != nil {
			return "not installed (optional)", nil
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		out, err := exec.CommandContext(ctx, path, "--version").Output()
		if err != nil {
			return fmt.Sprintf("%s (version unknown: %v)", path, err), nil
		}
		first, _, _ := strings.Cut(string(out), "\n")
		return fmt.Sprintf("%s (%s)", first, path), nil
	}
}

// subordinateIDs reports whether the user has subordinate ids, which other tools need.
func subordinateIDs(*Machine) (string, error) {
	uid := fmt.Sprint(os.Getuid())
	names := []string{uid}
	if u, err := user.LookupId(uid); err == nil {
		names = append(names, u.Username)
	}
	if !listed("/etc/subuid", names) || !listed("/etc/subgid", names) {
		return "no subordinate ids for this user; subuidless does not need any", nil
	}
	return "has subordinate ids for this user, which subuidless does not need", nil
}

// listed reports whether a line of the file path begins with one of names and a colon.
func listed(path string, names []string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		owner, _, _ := strings.Cut(lines.Text(), ":")
		for _, name := range names {
			if owner == name {
				return true
			}
		}
	}
	return false
}
