package handlers

import (
	"bytes"
	"log/slog"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/identity"
	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/perm"
	"github.com/rootless-containers/subuidless/internal/sys"
	"github.com/rootless-containers/subuidless/internal/target"
)

// Execve handles execve(path, argv, envp).
func Execve(c *Call) Result { return c.exec(unix.AT_FDCWD, 0, 0) }

// Execveat handles execveat(dirfd, path, argv, envp, flags).
func Execveat(c *Call) Result { return c.exec(c.int32(0), 1, c.uint32(4)) }

// exec notes the identity that the caller will have if the kernel executes the program. The
// kernel does not report whether it has: see identity.Table.Expect.
func (c *Call) exec(dirfd int32, path int, flags uint32) Result {
	if !c.Listener.Waits() {
		return Errno(unix.ESRCH)
	}
	inRuntime := c.inRuntime()
	if inRuntime {
		if err := c.Identities.Begin(c.Listener.Index(), c.PID); err != nil {
			slog.Error("cannot give the container's program its user", "pid", c.PID, "err", err)
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
		file, e = c.program(p, self, 0)
	}
	if e != 0 && !inRuntime { // the supervisor may be unable to inspect a runtime
		if e == unix.ETXTBSY {
			return Errno(e) // the kernel would execute it if the writer closed it now
		}
		return continueUnlessDenied(e)
	}
	to, _, e := self.Exec(file)
	if e != 0 {
		return Errno(e)
	}
	if inRuntime {
		e = c.setCredentials(to, 0).Errno // even if execve(2) fails: a runtime executes nothing else
	} else {
		next := *self
		next.Credentials = to
		next.SetDumpable(1)
		if file.Unreadable || self.UndumpsByExec(to) {
			next.SetDumpable(c.Identities.SuidDumpable())
		}
		next.Program, next.Serves = next.Namespace, false
		if file.Unreadable {
			next.Program = next.Namespace.Holder(file.UID, file.GID)
		}
		e = c.Identities.Expect(c.PID, &next)
	}
	if e != 0 {
		return Errno(e)
	}
	return Continue
}

// maxInterpreters is how many interpreters of a script may be scripts themselves.
//
// execve(2): "The kernel imposes a maximum on the recursive depth of scripts".
const maxInterpreters = 5

// program returns the properties of the program that p names, or of its interpreter if it
// is a script. Depth is the number of scripts that led to p.
//
// execve(2): "Linux ignores the set-user-ID and set-group-ID bits on scripts."
func (c *Call) program(p target.Path, self *identity.State, depth int) (cred.ExecFile, unix.Errno) {
	i, e := c.openProgram(p)
	if e != 0 {
		return cred.ExecFile{}, e
	}
	defer c.close(i)
	if depth > maxInterpreters {
		return cred.ExecFile{}, unix.ELOOP
	}
	var head [headSize]byte
	interpreter := scriptInterpreter(head[:readHead(i.fd, &head)])
	if interpreter == nil {
		file := c.execFile(i, self)
		if c.Restricted() {
			var readable bool
			readable, e = c.mayLoad(i, &head)
			file.Unreadable = !readable || c.permits(i, perm.Read) != 0
		}
		if e == 0 {
			_, _, e = self.Exec(file)
		}
		switch { // what the kernel finds out first
		case e == 0:
		case isWritten(i):
			e = unix.ETXTBSY
		case !bytes.HasPrefix(head[:], []byte("\x7fELF")):
			e = unix.ENOEXEC
		}
		return file, e
	}
	p, e = c.Target.PathOf(interpreter)
	if e != 0 {
		return cred.ExecFile{}, e
	}
	file, e := c.program(p, self, depth+1)
	// The kernel finds out that the script is open for writing before it looks at the
	// interpreter.
	if (e == unix.EACCES || e == unix.EPERM) && isWritten(i) {
		e = unix.ETXTBSY
	}
	return file, e
}

// openProgram opens the regular file that p names, if the caller may execute it.
//
// execve(2): "EACCES Execute permission is denied for the file or a script or ELF
// interpreter."
func (c *Call) openProgram(p target.Path) (*inode, unix.Errno) {
	i, e := c.openPath(p)
	if e != 0 {
		return nil, e
	}
	if i.kind() != unix.S_IFREG {
		e = unix.ENOEXEC // the kernel gives EACCES, or ELOOP for a link
	} else if c.Restricted() {
		e = c.permits(i, perm.Exec)
	}
	if e != 0 {
		c.close(i)
		return nil, e
	}
	return i, 0
}

// execFile returns the properties of a program's file that execve(2) depends on.
func (c *Call) execFile(i *inode, self *identity.State) cred.ExecFile {
	f := cred.ExecFile{Mode: i.stat.Mode}
	// Nothing can change: there are no capabilities to gain, to lose or to miss, and no set-id bits.
	if i.stat.Mode&owner.SetIDBits == 0 && self.IsRoot() && self.Securebits == 0 && self.Ambient == 0 &&
		self.Bounding&cred.AllCaps == cred.AllCaps && self.Namespace == nil {
		return f
	}
	c.settleSetID(i)
	v := c.visible(i)
	f.UID, f.GID, f.Mode = v.UID, v.GID, v.Mode
	if caps, ok := c.fileCaps(i); ok {
		f.Caps = &caps
	}
	var fs unix.Statfs_t
	// The set-id bits of a file whose owner is not mapped have no effect.
	f.NoSuid = i.stat.Uid != c.Owners.Mapped.UID || sys.Fstatfs(i.fd, &fs) != 0 || fs.Flags&unix.ST_NOSUID != 0
	var tracer uint32
	f.NoNewPrivs, tracer = c.Target.Restrained()
	f.Traced = tracer != 0 && c.tracerForbidsGain(tracer)
	return f
}

// tracerForbidsGain reports whether the caller may not gain privileges by execve(2),
// because the task that traces it has no CAP_SYS_PTRACE.
func (c *Call) tracerForbidsGain(tracer uint32) bool {
	s, e := c.Identities.Get(tracer)
	// EPERM: the tracer belongs to another user of the host, and has full control over the
	// caller anyway.
	return e == 0 && !s.CapableIn(c.identity().Namespace, unix.CAP_SYS_PTRACE)
}

// headSize is BINPRM_BUF_SIZE of <linux/binfmts.h>: execve(2), "a maximum length of 255
// bytes".
const headSize = 256

// readHead reads the start of the file of an O_PATH descriptor, and returns the number of
// bytes, 0 if the file cannot be read.
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

// scriptInterpreter returns the path of the interpreter if head is the start of a script,
// otherwise nil.
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
