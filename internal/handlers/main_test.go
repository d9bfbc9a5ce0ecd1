package handlers

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/identity"
	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/svipc"
	"github.com/rootless-containers/subuidless/internal/target"
	"github.com/rootless-containers/subuidless/internal/unotify"
	"github.com/rootless-containers/subuidless/internal/workertest"
)

func TestMain(m *testing.M) { os.Exit(workertest.Run(m)) }

// caller makes calls on behalf of the test's own thread, whose working directory
// is /proc.
type caller struct {
	t    testing.TB
	call Call
}

// rootWatch notes whether RootsDiffer has been called.
type rootWatch bool

func (r *rootWatch) RootsDiffer(uint32) { *r = true }

func (r *rootWatch) MayDiffer() bool { return bool(*r) }

func (r *rootWatch) SearchDenied(*unix.Stat_t) {}

// newCaller makes the test's thread both the one that handles calls and the task that makes
// them. The thread ends with the test.
func newCaller(t testing.TB) *caller {
	t.Helper()
	runtime.LockOSThread()
	open := func(path string, flags int) int {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatalf("open %s: %v", path, err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		return fd
	}
	view := target.View{MountNS: open("/proc/self/ns/mnt", unix.O_RDONLY), Root: open("/", unix.O_PATH)}
	tr, err := target.Enter(open("/proc", unix.O_PATH), view)
	if err != nil {
		t.Fatal(err)
	}
	tr.Reset(uint32(unix.Gettid()))
	side, err := owner.OpenSidecar(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	memory, err := unix.MemfdCreate("identities", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(memory)
	if err := unix.Ftruncate(memory, ipcOffset+svipc.Size); err != nil {
		t.Fatal(err)
	}
	identities, err := identity.Map(memory, 0, open("/proc", unix.O_PATH), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	ipc, err := svipc.Map(memory, ipcOffset)
	if err != nil {
		t.Fatal(err)
	}
	c := &caller{t, Call{
		Notif: new(unotify.Notif), Intent: new(Intent), Previous: new(uint32), Target: tr,
		NoPermissions: true, Owners: owner.NewStore(owner.ID{}, side), Identities: identities, IPC: ipc,
		Sockets: NewSockets(new(SocketRecords)),
		Roots:   new(rootWatch), Listener: ownListener{}, Maps: new(MapWrites), Mounts: new(NewMounts),
	}}
	c.call.PID = tr.TID
	return c
}

// ipcOffset is the offset of the owners of IPC objects in a caller's memory.
const ipcOffset = (identity.Size + 1<<16 - 1) &^ (1<<16 - 1)

// ownListener is the listener of a caller, which is its own task.
type ownListener struct{}

func (ownListener) Index() int { return 0 }

func (ownListener) Waits() bool { return true }

func (ownListener) AddFD(fd int, closeOnExec bool) (int, unix.Errno) {
	flags := unix.F_DUPFD
	if closeOnExec {
		flags = unix.F_DUPFD_CLOEXEC
	}
	dup, err := unix.FcntlInt(uintptr(fd), flags, 0)
	if err != nil {
		return -1, err.(unix.Errno)
	}
	return dup, 0
}

// do makes a call with these arguments: integers, or pointers to memory.
func (c *caller) do(h Handler, args ...any) Result {
	c.t.Helper()
	for i, a := range args {
		switch a := a.(type) {
		case int:
			c.call.Data.Args[i] = uint64(a)
		case string:
			p, err := unix.BytePtrFromString(a)
			if err != nil {
				c.t.Fatal(err)
			}
			c.call.Data.Args[i] = uint64(uintptr(unsafe.Pointer(p)))
			defer runtime.KeepAlive(p)
		case []byte:
			c.call.Data.Args[i] = uint64(uintptr(unsafe.Pointer(unsafe.SliceData(a))))
			defer runtime.KeepAlive(a)
		default:
			c.t.Fatalf("argument %d: %T", i, a)
		}
	}
	return h(&c.call)
}

// newFile makes a file with an owner, or skips the test.
func (c *caller) newFile(id owner.ID) string {
	c.t.Helper()
	path := filepath.Join(c.t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("content"), 0o644); err != nil {
		c.t.Fatal(err)
	}
	if err := unix.Setxattr(path, owner.Xattr, (&owner.Record{ID: id}).Append(nil), 0); err != nil {
		c.t.Skipf("%s: %v", path, err)
	}
	return path
}

const unset = owner.Noop

// stat returns the owner that the container sees. If the handler continues, the kernel
// answers.
func (c *caller) stat(path string) owner.ID {
	c.t.Helper()
	b := make([]byte, statSize)
	st := (*unix.Stat_t)(unsafe.Pointer(&b[0]))
	switch r := c.do(LstatPath(LayoutNative), path, b); {
	case r == Continue:
		if err := unix.Lstat(path, st); err != nil {
			c.t.Fatal(err)
		}
	case r != Result{}:
		c.t.Fatalf("lstat: %+v", r)
	}
	return owner.ID{UID: st.Uid, GID: st.Gid}
}
