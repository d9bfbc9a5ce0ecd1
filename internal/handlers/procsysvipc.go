package handlers

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// sysvipcFile is a file of /proc/sysvipc, which lists the System V IPC objects of a kind in
// the IPC namespace of the process that opens it: see proc_sysvipc(5).
type sysvipcFile struct {
	name string
	path *byte // in the supervisor's /proc
	kind sys.IPCKind
	pids []int // columns with process ids
	uid  int   // the first of the columns with uid, gid, cuid and cgid
}

var sysvipcFiles = [...]sysvipcFile{
	{"shm", &[]byte("sysvipc/shm\x00")[0], sys.SharedMemory, []int{4, 5}, 7},
	{"sem", &[]byte("sysvipc/sem\x00")[0], sys.Semaphores, nil, 4},
	{"msg", &[]byte("sysvipc/msg\x00")[0], sys.MessageQueue, []int{5, 6}, 7},
}

// sysvipcText returns the contents of the inode with the emulated owners, if it is a file of
// /proc/sysvipc. It is nil if the kernel's contents are right.
func (c *Call) sysvipcText(i *inode) []byte {
	if !c.IPC.InUse() && c.namespace() == nil || !i.isProc() {
		return nil
	}
	for n := range sysvipcFiles {
		f := &sysvipcFiles[n]
		// The files have the same inode number in every procfs.
		if ino, e := inodeNumber(f.path); e != 0 || ino != i.stat.Ino {
			continue
		}
		text, err := c.readSysvipc(f)
		if err != nil {
			return nil
		}
		return text
	}
	return nil
}

// inodeNumber returns the inode number of a file in the supervisor's /proc.
func inodeNumber(path *byte) (uint64, unix.Errno) {
	var st unix.Statx_t
	e := sys.Statx(unix.AT_FDCWD, path, 0, unix.STATX_INO, &st)
	return st.Ino, e
}

// readSysvipc returns the contents of f as the caller sees them.
func (c *Call) readSysvipc(f *sysvipcFile) ([]byte, error) {
	ns, e := c.Target.EnterIPC()
	if e != 0 {
		return nil, e
	}
	pidNS, e := c.Target.PIDNamespace()
	if e != 0 {
		return nil, e
	}
	fd, e := c.Target.OpenSysvipc(f.path)
	if e != 0 {
		return nil, e
	}
	file := os.NewFile(uintptr(fd), f.name)
	defer file.Close()
	text, err := io.ReadAll(file)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for line := range bytes.Lines(text) {
		columns := bytes.Fields(line)
		id, err := strconv.ParseInt(string(columns[1]), 10, 32)
		if err != nil { // the titles of the columns
			b.Write(line)
			continue
		}
		shown := map[int]uint32{}
		for _, column := range f.pids {
			pid, _ := strconv.ParseUint(string(columns[column]), 10, 32)
			shown[column] = c.seenPID(uint32(pid))
		}
		if o, ok := c.loadIPC(ns, f.kind, int32(id), unix.IPC_STAT); ok {
			r := c.shownIPC(o.record)
			for n, id := range [...]uint32{r.UID, r.GID, r.CUID, r.CGID} {
				shown[f.uid+n] = id
			}
			if r.Creator != 0 {
				shown[f.pids[0]] = c.seenCreator(&r, pidNS)
			}
		}
		writeColumns(&b, line, shown)
	}
	return b.Bytes(), nil
}

// writeColumns writes a line, with the numbers of some columns replaced. These are five
// characters wide in the kernel's format, or wider.
func writeColumns(w *bytes.Buffer, line []byte, replaced map[int]uint32) {
	for column := 0; len(line) > 0; column++ {
		start := len(line) - len(bytes.TrimLeft(line, " "))
		end := start + bytes.IndexAny(line[start:], " \n")
		if v, ok := replaced[column]; ok {
			fmt.Fprintf(w, " %5d", v)
		} else {
			w.Write(line[:end])
		}
		line = line[end:]
		if line[0] == '\n' {
			w.WriteByte('\n')
			return
		}
	}
}
