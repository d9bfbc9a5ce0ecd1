package handlers

import (
	"bytes"
	"log/slog"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/identity"
	"github.com/rootless-containers/subuidless/internal/perm"
	"github.com/rootless-containers/subuidless/internal/sys"
	"github.com/rootless-containers/subuidless/internal/target"
)

// Execve handles execve(path, argv, envp).
func Execve(c *Call) Result { return c.exec(unix.AT_FDCWD, 0, 0) }

// Execveat handles execveat(dirfd, path, argv, envp, flags).
func Execveat(c *Call) Result { return c.exec(c.int32(0), 1, c.uint32(4)) }

// exec notes what the program, which the kernel is to execute, will make of the
// caller's identity. Whether it could be executed nobody tells: see
// identity.Table.Expect.
func (c *Call) exec(dirfd int32, path int, flags uint32) Result {
	if !c.Listener.Waits() {
		return Errno(unix.ESRCH) // nobody reads it
	}
	inRuntime := c.inRuntime()
	if inRuntime {
		if err := c.Identities.Begin(c.Listener.Index(), c.PID); err != nil {
			slog.Error("the container's program cannot be given its user", "pid", c.PID, "err", err)
			return Errno(unix.EAGAIN)
		}
		c.known = false
	}
	if flags&^(unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != 0 || c.addr(path) == 0 {
		return Continue // an error, or AT_EXECVE_CHECK, which executes nothing
	}
	self := c.identity()
	p, e := c.Target.Path(dirfd, c.addr(path), flags)
	var file cred.ExecFile
	if e == 0 {
		file, e = c.program(p, self)
	}
	if e != 0 && !inRuntime { // a runtime lets nobody see what it executes
		return continueUnlessDenied(e)
	}
	to, _, e := self.Exec(file)
	if e != 0 {
		return Errno(e)
	}
	if inRuntime {
		e = c.setCredentials(to, 0).Errno // whatever becomes of it, nothing else comes of a runtime
	} else {
		next := *self
		next.Credentials, next.Undumpable = to, file.Unreadable || self.UndumpsByExec(to)
		e = c.Identities.Expect(c.PID, &next)
	}
	if e != 0 {
		return Errno(e)
	}
	return Continue
}

// maxInterpreters is how often a script's interpreter may be a script.
//
// execve(2): "The kernel imposes a maximum on the recursive depth of scripts".
const maxInterpreters = 5

// program returns what there is to know of the program that p names: of its
// interpreter, if it is a script.
//
// execve(2): "Linux ignores the set-user-ID and set-group-ID bits on scripts."
func (c *Call) program(p target.Path, self *identity.State) (cred.ExecFile, unix.Errno) {
	for depth := 0; ; depth++ {
		i, e := c.openPath(p)
		if e != 0 {
			return cred.ExecFile{}, e
		}
		if i.kind() != unix.S_IFREG {
			c.close(i)
			return cred.ExecFile{}, unix.ENOEXEC // the kernel says EACCES, or ELOOP of a link
		}
		// execve(2): "EACCES Execute permission is denied for the file or a script or ELF
		// interpreter."
		if c.Restricted() {
			if e := c.permits(i, perm.Exec); e != 0 {
				c.close(i)
				return cred.ExecFile{}, e
			}
		}
		if depth > maxInterpreters {
			c.close(i)
			return cred.ExecFile{}, unix.ELOOP
		}
		var head [headSize]byte
		interpreter := scriptInterpreter(head[:readHead(i.fd, &head)])
		if interpreter == nil {
			file := c.execFile(i, self)
			file.Unreadable = c.Restricted() && c.permits(i, perm.Read) != 0
			c.close(i)
			return file, 0
		}
		c.close(i)
		if p, e = c.Target.PathOf(interpreter); e != 0 {
			return cred.ExecFile{}, e
		}
	}
}

// execFile returns what execve(2) needs to know of a program's file.
func (c *Call) execFile(i *inode, self *identity.State) cred.ExecFile {
	f := cred.ExecFile{Mode: i.stat.Mode}
	// As without capabilities to gain or to lose, and no bit that would count.
	if i.stat.Mode&(unix.S_ISUID|unix.S_ISGID) == 0 && self.IsRoot() && self.Securebits == 0 && self.Ambient == 0 {
		return f
	}
	v := c.visible(i)
	f.UID, f.GID = v.UID, v.GID
	if caps, ok := fileCaps(i.fd); ok {
		f.Caps = &caps
	}
	var fs unix.Statfs_t
	// The ids of a file that belongs to nobody in the namespace count for nothing.
	f.NoSuid = i.stat.Uid != c.Owners.Mapped.UID || sys.Fstatfs(i.fd, &fs) != 0 || fs.Flags&unix.ST_NOSUID != 0
	var tracer uint32
	f.NoNewPrivs, tracer = c.Target.Restrained()
	f.Traced = tracer != 0 && c.tracerForbidsGain(tracer)
	return f
}

// tracerForbidsGain reports whether the caller may gain nothing by execve(2), because of who its
// tracer is.
func (c *Call) tracerForbidsGain(tracer uint32) bool {
	s, e := c.Identities.Get(tracer)
	// EPERM: somebody else's on the host, who may do to the caller what they like.
	return e == 0 && !s.Capable(unix.CAP_SYS_PTRACE)
}

// headSize is BINPRM_BUF_SIZE of <linux/binfmts.h>: execve(2), "a maximum length
// of 255 bytes".
const headSize = 256

// readHead reads the first bytes of the file that our O_PATH descriptor refers
// to: none if it may not be read.
func readHead(fd int, head *[headSize]byte) int {
	r, e := sys.Reopen(fd, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOCTTY)
	if e != 0 {
		return 0
	}
	n, e := sys.Pread(r, head[:])
	unix.Close(r)
	if e != 0 {
		return 0
	}
	return n
}

// scriptInterpreter returns the path of the interpreter if head is the start of a
// script, else nil.
func scriptInterpreter(head []byte) []byte {
	line, ok := bytes.CutPrefix(head, []byte("#!"))
	if !ok {
		return nil
	}
	if end := bytes.IndexByte(line, '\n'); end >= 0 {
		line = line[:end]
	}
	line = bytes.TrimLeft(line, " \t")
	if end := bytes.IndexAny(line, " \t\x00"); end >= 0 {
		line = line[:end]
	}
	if len(line) == 0 {
		return nil
	}
	return line
}
