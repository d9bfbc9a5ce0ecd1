package handlers

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/identity"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// statusName is the name of the file in /proc/PID from which ps(1) and pgrep(1) read the
// credentials of a process.
const statusName = "status"

// limitsName is the name of the file in /proc/PID that shows resource limits, one of which holds the
// identity, and locksLine the beginning of that limit's line.
const (
	limitsName = "limits"
	locksLine  = "Max file locks"
)

// statusText returns the contents of /proc/PID/status or limits of the task, which is the inode, with
// the emulated credentials, and the limit that the program has set. It is nil if the kernel's contents are right.
func (c *Call) statusText(i *inode, task uint32) []byte {
	if i.stat.Uid != c.Owners.Mapped.UID {
		return nil
	}
	s, e := c.Identities.Get(task)
	if e != 0 {
		return nil
	}
	// The path is relative to the working directory, the supervisor's /proc.
	status, err := os.ReadFile(string(sys.AppendFD(nil, i.fd)))
	if err != nil {
		return nil
	}
	return rewriteStatus(status, &s, c.namespace())
}

// rewriteStatus returns the contents of /proc/PID/status or limits, with the lines of
// proc_pid_status(5) about credentials, and that of proc_pid_limits(5) about locks, taken from s,
// as a reader in the user namespace n sees them.
func rewriteStatus(status []byte, s *identity.State, n *cred.Namespace) []byte {
	var b bytes.Buffer
	for line := range bytes.Lines(status) {
		name, _, _ := bytes.Cut(line, []byte(":"))
		switch string(name) {
		case "Uid":
			writeIDs(&b, name, s.UID, n.ShownUID)
		case "Gid":
			writeIDs(&b, name, s.GID, n.ShownGID)
		case "Groups":
			b.WriteString("Groups:\t")
			for i, gid := range s.Groups {
				if i > 0 {
					b.WriteByte(' ')
				}
				b.Write(strconv.AppendUint(nil, uint64(n.ShownGID(gid)), 10))
			}
			b.WriteString(" \n")
		case "CapInh":
			writeCaps(&b, name, s.Inheritable)
		case "CapPrm":
			writeCaps(&b, name, s.Permitted)
		case "CapEff":
			writeCaps(&b, name, s.Effective)
		case "CapBnd":
			writeCaps(&b, name, s.Bounding)
		case "CapAmb":
			writeCaps(&b, name, s.Ambient)
		default:
			if bytes.HasPrefix(line, []byte(locksLine)) {
				fmt.Fprintf(&b, "%-25s %-20s %-20s %-10s\n", locksLine, shownLimit(s.Locks.Cur), shownLimit(s.Locks.Max), "locks")
				continue
			}
			b.Write(line)
		}
	}
	return b.Bytes()
}

// shownLimit returns a resource limit as the kernel shows it.
func shownLimit(value uint64) string {
	if value == unix.RLIM_INFINITY {
		return "unlimited"
	}
	return strconv.FormatUint(value, 10)
}

func writeIDs(w io.Writer, name []byte, ids cred.IDs, show func(uint32) uint32) {
	fmt.Fprintf(w, "%s:\t%d\t%d\t%d\t%d\n", name, show(ids.Real), show(ids.Effective), show(ids.Saved), show(ids.FS))
}

func writeCaps(w io.Writer, name []byte, caps cred.Caps) {
	fmt.Fprintf(w, "%s:\t%016x\n", name, uint64(caps))
}
