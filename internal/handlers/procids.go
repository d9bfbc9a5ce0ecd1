package handlers

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
	"github.com/rootless-containers/subuidless/internal/target"
)

// Some files of procfs show user ids: /proc/PID/status, uid_map and gid_map (procmaps.go), those
// in /proc/sysvipc, and /proc/PID/limits, in their form in the kernel. A program that opens one for reading gets a copy that shows the emulated ids.

// showsIDs reports whether a file with the name of p may be one in /proc whose contents show
// user ids.
func showsIDs(p *target.Path) bool {
	if p.IsNamed(statusName) || p.IsNamed(limitsName) || mapFileNamed(p) != noMapFile {
		return true
	}
	for i := range sysvipcFiles {
		if p.IsNamed(sysvipcFiles[i].name) {
			return true
		}
	}
	return false
}

// openShowingIDs handles an open for reading, with these flags of open(2), of a file for whose
// path showsIDs is true. The kernel opens files that need no copy.
func (c *Call) openShowingIDs(p target.Path, flags uint64) Result {
	f := mapFileNamed(&p)
	i, e := c.openPath(p)
	if e != 0 {
		return Continue
	}
	defer c.close(i)
	return c.openCopy(i, f, flags)
}

// openCopy is openShowingIDs for an inode that is open already. F is the file of mapFileNamed.
func (c *Call) openCopy(i *inode, f mapFile, flags uint64) Result {
	var text []byte
	if task, e := c.taskOf(i); e == 0 && f != noMapFile {
		return c.openMapFile(i, f, task, flags)
	} else if e == 0 {
		text = c.statusText(i, task)
	} else {
		text = c.sysvipcText(i)
	}
	if text == nil {
		return Continue
	}
	copied, err := snapshot(text)
	if err != nil {
		return Continue
	}
	return File(copied, flags&unix.O_CLOEXEC != 0)
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
