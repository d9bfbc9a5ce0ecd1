package handlers

import (
	"encoding/binary"
	"math"
	"math/bits"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/sys"
	"github.com/rootless-containers/subuidless/internal/target"
)

// Calls that send signals. The kernel sees a single user, and would let every task signal
// every other one. Handlers refuse what the caller may not signal. Everything else
// continues: the kernel finds the other errors, and fills the siginfo_t.

// maxSignal is _NSIG of <asm/signal.h>.
const maxSignal = 64

// Kill handles kill(pid, sig).
func Kill(c *Call) Result {
	pid, sig := c.int32(0), c.int32(1)
	if c.skipsSignalCheck(sig) || pid == math.MinInt32 { // ESRCH: its negation overflows
		return Continue
	}
	switch {
	case pid > 0:
		return c.signalOne(pid, sig)
	case pid == -1:
		return c.signalAll(sig)
	case pid == 0:
		group, _, e := target.GroupOf(c.PID)
		if e != 0 {
			return Continue
		}
		return c.signalGroup(group, sig)
	}
	group, e := c.Target.HostGroup(-pid)
	if e != 0 {
		return Continue // ESRCH
	}
	return c.signalGroup(group, sig)
}

// Tkill handles tkill(tid, sig).
func Tkill(c *Call) Result {
	if sig := c.int32(1); !c.skipsSignalCheck(sig) {
		return c.signalOne(c.int32(0), sig)
	}
	return Continue
}

// Tgkill handles tgkill(tgid, tid, sig).
func Tgkill(c *Call) Result {
	if sig := c.int32(2); !c.skipsSignalCheck(sig) {
		return c.signalThread(c.int32(0), c.int32(1), sig)
	}
	return Continue
}

// RtSigqueueinfo handles rt_sigqueueinfo(tgid, sig, info).
func RtSigqueueinfo(c *Call) Result {
	if sig := c.int32(1); !c.skipsSignalCheck(sig) && c.hasSiginfo(2) {
		return c.signalOne(c.int32(0), sig)
	}
	return Continue
}

// RtTgsigqueueinfo handles rt_tgsigqueueinfo(tgid, tid, sig, info).
func RtTgsigqueueinfo(c *Call) Result {
	if sig := c.int32(2); !c.skipsSignalCheck(sig) && c.hasSiginfo(3) {
		return c.signalThread(c.int32(0), c.int32(1), sig)
	}
	return Continue
}

// The flags of pidfd_send_signal(2), <linux/pidfd.h>.
const (
	pidfdSignalProcessGroup = 1 << 2
	pidfdSignalFlags        = 1<<0 | 1<<1 | pidfdSignalProcessGroup
)

// PidfdSendSignal handles pidfd_send_signal(pidfd, sig, info, flags).
func PidfdSendSignal(c *Call) Result {
	sig, flags := c.int32(1), c.uint32(3)
	switch {
	case c.skipsSignalCheck(sig),
		flags&^pidfdSignalFlags != 0 || bits.OnesCount32(flags) > 1, // EINVAL
		c.addr(2) != 0 && !c.hasSiginfoOf(2, sig):
		return Continue
	}
	target, e := c.Target.PidfdPID(c.int32(0))
	if e == unix.EBADF {
		target, e = c.processDirectory(c.int32(0))
	}
	if e != 0 {
		return Continue
	}
	// pidfd_send_signal(2): EINVAL, if "pidfd refers to a process in [...] a PID namespace
	// that is not the caller's or a descendant".
	if seen, e := c.Target.SeenPID(target); e != 0 || seen == 0 {
		return Continue
	}
	if flags&pidfdSignalProcessGroup != 0 {
		return c.signalGroup(target, sig)
	}
	return c.signalHost(target, sig)
}

// processDirectory returns the supervisor's number of the process whose directory in /proc
// the caller's descriptor fd refers to.
func (c *Call) processDirectory(fd int32) (uint32, unix.Errno) {
	i, e := c.openPath(c.Target.FD(fd))
	if e != 0 {
		return 0, e
	}
	defer c.close(i)
	return c.taskOf(i)
}

// skipsSignalCheck reports whether the caller may signal every task, or the signal is not
// valid, for which each of these calls gives EINVAL before EPERM.
func (c *Call) skipsSignalCheck(sig int32) bool {
	return !c.Identities.InUse() || sig < 0 || sig > maxSignal || c.identity().CapableInContainer(unix.CAP_KILL)
}

// siginfoSize is the size of the kernel's part of siginfo_t. The kernel reads the 128 bytes
// of the C library's only if that part is not sufficient.
const siginfoSize = 48

// hasSiginfo reports whether argument i points to a siginfo_t; if not, the call fails with
// EFAULT.
func (c *Call) hasSiginfo(i int) bool {
	var info [siginfoSize]byte
	n, e := c.Target.Read(c.addr(i), info[:])
	return e == 0 && n == len(info)
}

// hasSiginfoOf reports whether argument i points to a siginfo_t of the signal; if not, the
// call fails with EFAULT or EINVAL.
func (c *Call) hasSiginfoOf(i int, sig int32) bool {
	var info [siginfoSize]byte
	n, e := c.Target.Read(c.addr(i), info[:])
	return e == 0 && n == len(info) && int32(binary.NativeEndian.Uint32(info[:])) == sig
}

// signalOne handles a signal to the thread or process that the caller calls pid.
func (c *Call) signalOne(pid, sig int32) Result {
	target, e := c.Target.HostPID(pid)
	if e != 0 {
		return Continue // EINVAL or ESRCH
	}
	return c.signalHost(target, sig)
}

// signalThread handles a signal to the thread tid of the process tgid.
func (c *Call) signalThread(tgid, tid, sig int32) Result {
	process, e := c.Target.HostPID(tgid)
	if e != 0 {
		return Continue
	}
	thread, e := c.Target.HostPID(tid)
	// tgkill(2): the tgid is to "avoid sending a signal to the wrong thread": ESRCH.
	if e != 0 || !c.Target.SameProcess(process, thread) {
		return Continue
	}
	return c.signalHost(thread, sig)
}

// signalHost handles a signal to the thread that the supervisor calls target.
func (c *Call) signalHost(target uint32, sig int32) Result {
	if may, e := c.maySignal(target, sig); e == 0 && !may {
		return Errno(unix.EPERM)
	}
	return Continue
}

// maySignal reports whether the caller may send sig to the thread that the supervisor calls
// process. The error is ESRCH if there is none.
func (c *Call) maySignal(process uint32, sig int32) (bool, unix.Errno) {
	if c.Target.SameProcess(c.PID, process) {
		return true, 0
	}
	s, e := c.Identities.Get(process)
	if e == unix.EPERM {
		return false, 0 // another user's, on the host
	}
	if e != 0 {
		return false, e
	}
	sameSession := false
	if sig == int32(unix.SIGCONT) {
		_, own, e1 := target.GroupOf(c.PID)
		_, other, e2 := target.GroupOf(process)
		sameSession = e1 == 0 && e2 == 0 && own == other
	}
	return cred.MaySignal(c.identity().Credentials, s.Credentials, unix.Signal(sig), sameSession), 0
}

// signalGroup handles a signal to a process group.
//
// kill(2): "EPERM The calling process does not have permission to send the signal to any of
// the target processes." So permission to signal one process of the group is enough.
func (c *Call) signalGroup(group uint32, sig int32) Result {
	return c.signalMany(sig, unix.EPERM, func(pid uint32) bool {
		g, _, e := target.GroupOf(pid)
		return e == 0 && g == group
	})
}

// signalAll handles kill(-1, sig).
//
// kill(2): "On Linux, the call kill(-1,sig) does not signal the calling process", nor
// "process 1 (init)". The kernel also returns 0 if the caller may not signal any of the
// others.
func (c *Call) signalAll(sig int32) Result {
	return c.signalMany(sig, 0, func(pid uint32) bool {
		seen, e := c.Target.SeenPID(pid)
		return e == 0 && seen > 1 && !c.Target.SameProcess(c.PID, pid)
	})
}

// signalMany handles a signal to all processes for which match is true. The error is none
// if the caller may not signal any of them.
//
// If the caller may signal only some of them, the supervisor sends the signals. The
// receivers then see the si_pid 0, as for any sender outside of their PID namespace, or the
// supervisor's pid.
func (c *Call) signalMany(sig int32, none unix.Errno, match func(pid uint32) bool) Result {
	processes, e := c.Target.Processes()
	if e != 0 {
		return Continue
	}
	var allowed []uint32
	refused := false
	for _, pid := range processes {
		if !match(pid) {
			continue
		}
		switch may, e := c.maySignal(pid, sig); {
		case e != 0: // the process has ended
		case may:
			allowed = append(allowed, pid)
		default:
			refused = true
		}
	}
	if !refused {
		return Continue
	}
	if len(allowed) == 0 {
		return Errno(none)
	}
	for _, pid := range allowed {
		// ESRCH: the process has ended, as it may have after the signal.
		_ = sys.SignalIf(int(pid), unix.Signal(sig), func() bool {
			may, e := c.maySignal(pid, sig)
			return e == 0 && may && match(pid)
		})
	}
	return Result{Final: true}
}
