package engine

import (
	"fmt"
	osuser "os/user"
	"slices"
	"strconv"
	"strings"
)

// userNames returns the names by which engines and newuidmap(1) look up the subordinate ids of the
// user uid in a session: first the value that USER must have, because podman looks that up.
func userNames(getenv func(string) string, uid int) []string {
	number := strconv.Itoa(uid)
	account := number
	if u, err := osuser.LookupId(number); err == nil {
		account = u.Username
	}
	var names []string
	for _, name := range []string{getenv("USER"), account, "root"} { // in the session, the user is root
		// A name that is listed twice would have twice as many ids.
		if name != "" && !strings.ContainsAny(name, ":\n") && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// subordinateIDs returns the text of subuid(5) and subgid(5) by which each name has all ids
// except for 0. The ids are those of the session's user namespace.
func subordinateIDs(names []string) string {
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, "%s:1:%d\n", name, uint32(1<<32-2))
	}
	return b.String()
}
