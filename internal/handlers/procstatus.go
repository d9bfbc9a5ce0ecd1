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
	"github.com/rootless-containers/subuidless/internal/target"
)

// statusName is the name of the file in /proc/PID from which ps(1) and pgrep(1) read the
// credentials of a process.
const statusName = "status"

// openStatus handles an open for reading, with these flags of open(2), of a file with the
// name of /proc/PID/status, or of a file in /proc/sysvipc. If a task of the container may not
// be root, the caller gets a copy that shows the emulated credentials. The kernel opens all
// other files.
func (c *Call) openStatus(p target.Path, flags uint64) Result {
	i, e := c.openPath(p)
	if e != 0 {
		return Continue
	}
	defer c.close(i)
	return c.openStatusOf(i, flags)
}

// openStatusOf is openStatus for an inode that is open already.
func (c *Call) openStatusOf(i *inode, flags uint64) Result {
	task, e := c.taskOf(i)
	if e != 0 {
		return c.openSysvipc(i, flags)
	}
	if i.stat.Uid != c.Owners.Mapped.UID {
		return Continue
	}
	s, e := c.Identities.Get(task)
	if e != 0 {
		return Continue
	}
	// The path is relative to the working directory, the supervisor's /proc.
	status, err := os.ReadFile(string(sys.AppendFD(nil, i.fd)))
	if err != nil {
		return Continue
	}
	copied, err := snapshot(rewriteStatus(status, &s))
	if err != nil {
		return Continue
	}
	return File(copied, flags&unix.O_CLOEXEC != 0)
}

// rewriteStatus returns the contents of /proc/PID/status, with the lines of
// proc_pid_status(5) about credentials taken from s.
func rewriteStatus(status []byte, s *identity.State) []byte {
	var b bytes.Buffer
	for line := range bytes.Lines(status) {
		name, _, _ := bytes.Cut(line, []byte(":"))
		switch string(name) {
		case "Uid":
			writeIDs(&b, name, s.UID)
		case "Gid":
			writeIDs(&b, name, s.GID)
		case "Groups":
			b.WriteString("Groups:\t")
			for i, gid := range s.Groups {
				if i > 0 {
					b.WriteByte(' ')
				}
				b.Write(strconv.AppendUint(nil, uint64(gid), 10))
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
			b.Write(line)
		}
	}
	return b.Bytes()
}

func writeIDs(w io.Writer, name []byte, ids cred.IDs) {
	fmt.Fprintf(w, "%s:\t%d\t%d\t%d\t%d\n", name, ids.Real, ids.Effective, ids.Saved, ids.FS)
}

func writeCaps(w io.Writer, name []byte, caps cred.Caps) {
	fmt.Fprintf(w, "%s:\t%016x\n", name, uint64(caps))
}

// snapshot returns a read-only descriptor of a file in memory with these contents.
func snapshot(contents []byte) (int, error) {
	fd, err := unix.MemfdCreate("status", unix.MFD_CLOEXEC)
	if err != nil {
		return -1, err
	}
	f := os.NewFile(uintptr(fd), "status")
	defer f.Close()
	if _, err := f.Write(contents); err != nil {
		return -1, err
	}
	return unix.Open(string(sys.AppendFD(nil, fd)), unix.O_RDONLY|unix.O_CLOEXEC, 0)
}
