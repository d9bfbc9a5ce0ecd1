package handlers

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/identity"
	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// hotCalls returns the most frequent system calls of programs.
func hotCalls(t testing.TB) (c *caller, calls map[string]func() Result) {
	c = newCaller(t)
	file := c.newFile(owner.ID{UID: 7, GID: 7})
	dir := t.TempDir()
	for _, err := range []error{
		os.WriteFile(filepath.Join(dir, "plain"), []byte("x"), 0o644),
		os.Chmod(filepath.Dir(dir), 0o755), // for the restricted caller
		os.Chmod(filepath.Dir(file), 0o755),
		os.Chmod(filepath.Dir(filepath.Dir(file)), 0o755),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	owned := append([]byte(file), 0)
	plain := append([]byte(filepath.Join(dir, "plain")), 0)
	missing := append([]byte(filepath.Join(dir, "missing")), 0)
	st := make([]byte, statSize)
	// The calls refer to the memory of the task, which is this process, by address only.
	address := func(b []byte) uint64 {
		t.Cleanup(func() { runtime.KeepAlive(b) })
		return uint64(uintptr(unsafe.Pointer(&b[0])))
	}
	call := func(h Handler, args ...uint64) func() Result {
		return func() Result {
			clear(c.call.Data.Args[:])
			copy(c.call.Data.Args[:], args)
			c.call.Begin()
			return h(&c.call)
		}
	}
	c.newIPC()
	message := make([]byte, 56)
	withControl := make([]byte, 56)
	binary.NativeEndian.PutUint64(withControl[32:], address(make([]byte, 64)))
	binary.NativeEndian.PutUint64(withControl[40:], 64)
	sockets, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.Close(sockets[0])
		unix.Close(sockets[1])
	})
	c.call.Sockets.pass()
	semaphores := c.object(sys.Semaphores, unix.IPC_PRIVATE, 0o666)
	return c, map[string]func() Result{
		"stat, no record":  call(StatPath(LayoutNative), address(plain), address(st)),
		"stat, record":     call(StatPath(LayoutNative), address(owned), address(st)),
		"stat, missing":    call(StatPath(LayoutNative), address(missing), address(st)),
		"open for reading": call(Open, address(plain), unix.O_RDONLY),
		"open, create":     call(Open, address(missing), unix.O_CREAT|unix.O_WRONLY, 0o644),
		"chown":            call(Chown, address(owned), 7, 7),
		"access":           call(Access, address(plain), unix.R_OK),
		"chmod":            call(Chmod, address(owned), 0o640),
		"getuid":           call(Getuid),
		"semop":            call(Semop, uint64(semaphores), address(make([]byte, 6)), 1),

		"sendmsg":                 call(Sendmsg, uint64(sockets[0]), address(message)),
		"sendmsg, control":        call(Sendmsg, uint64(sockets[0]), address(withControl)),
		"recvmsg":                 call(Recvmsg, uint64(sockets[0]), address(message)),
		"recvmsg, no SO_PASSCRED": call(Recvmsg, uint64(sockets[0]), address(withControl)),
	}
}

// restrict makes c a restricted caller.
func (c *caller) restrict() {
	c.t.Helper()
	s := identity.State{Credentials: cred.Credentials{
		UID: cred.IDs{Real: 7, Effective: 7, Saved: 7, FS: 7}, GID: cred.IDs{Real: 7, Effective: 7, Saved: 7, FS: 7},
	}}
	if e := c.call.Identities.Set(c.call.PID, &s); e != 0 {
		c.t.Fatal(e)
	}
	c.call.NoPermissions = false
	c.call.Target.Guard = &c.call
}

// Handlers run on the hot path, and garbage collection would stop all receivers.
func TestHotCallsAllocateNothing(t *testing.T) {
	for _, who := range []string{"root", "restricted"} {
		c, calls := hotCalls(t)
		if who == "restricted" {
			c.restrict()
		}
		for name, f := range calls {
			f() // fills the pool of inodes, and the buffer of records
			closeFile(f())
			if n := testing.AllocsPerRun(100, func() { closeFile(f()) }); n != 0 {
				t.Errorf("%s, %s: %v allocations, want none", who, name, n)
			}
		}
	}
}

// closeFile closes the descriptor that a call returns.
func closeFile(r Result) {
	if r.File {
		unix.Close(int(r.Val))
	}
}

// BenchmarkHandlers measures handlers alone, without the round trip of a notification.
func BenchmarkHandlers(b *testing.B) {
	for _, who := range []string{"root", "restricted"} {
		for _, name := range []string{"stat, no record", "stat, record", "stat, missing", "open for reading", "open, create", "chown", "access", "chmod", "getuid", "sendmsg", "sendmsg, control", "recvmsg"} {
			// each on its own thread: see newCaller
			b.Run(who+"/"+name, func(b *testing.B) {
				c, calls := hotCalls(b)
				if who == "restricted" {
					c.restrict()
				}
				f := calls[name]
				b.ReportAllocs()
				for b.Loop() {
					closeFile(f())
				}
			})
		}
	}
}
