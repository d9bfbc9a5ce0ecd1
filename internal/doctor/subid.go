package doctor

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"
)

// subordinateIDs reports whether the user has subordinate ids, which other tools need.
func subordinateIDs(*Machine) (string, error) {
	uid := fmt.Sprint(os.Getuid())
	names := []string{uid}
	if u, err := user.LookupId(uid); err == nil {
		names = append(names, u.Username)
	}
	for _, file := range []string{"/etc/subuid", "/etc/subgid"} {
		if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
			return fmt.Sprintf("there is no %s; subuidless needs it only for podman's --userns=keep-id, nomap and auto, as a mount point\nuse: sudo touch /etc/subuid /etc/subgid", file), nil
		}
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
