package supervisor

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/unotify"
)

// initialReceivers is the number of receivers that a listener starts with. A
// notification wakes all idle ones, so more of them would cost time.
const initialReceivers = 1

// wakeUpPolicy decides on which CPU a receiver wakes its targets.
// docs/internals/receivers.md has the measurements. Each receiver has its own policy,
// which only its thread uses.
//
// A target always wakes the receiver on its own CPU (sync wake-up), because it goes to
// sleep at that moment. In the other direction, the same is best for a single busy
// task: a round trip takes 2 µs, instead of 7 µs across CPUs. With two busy tasks,
// however, a sync wake-up sometimes pulls one task to the CPU of the other. Both stay
// there while another CPU idles, until the kernel balances the load, milliseconds
// later. In that case the policy lets the kernel choose the CPU, which
// moves the next task that is answered to an idle one.
type wakeUpPolicy struct {
	last, previous uint32 // the last two different targets
	turns          int32  // how often these take turns: a moving average, as a fraction of everyTime
	taking         bool   // turns is high: two tasks take turns

	clock func() time.Time
	count uint8     // notifications since the clock was read; overflows at perReading
	since time.Time // when the clock was read
	busy  bool      // the tasks compute between their calls
}

const (
	everyTime = 1 << 20
	// turnsShift makes the average cover about 256 notifications, which is many processes
	// of a build. With 32 the policy flapped.
	turnsShift = 8
	// 17 % of notifications take turns in a `make -j2` of small C files, 0.9 % in a
	// `make -j1`, and none in cp, find and tar.
	takingFrom = everyTime * 4 / 100
	// A lower threshold to leave bridges the quiet moments of a -j2 build.
	takingUntil = everyTime / 100

	// Tasks that mostly make notified calls do not benefit from two CPUs: `tar | tar`
	// would take 1.45 times as long. Such tasks, and two `find`, cause a notification
	// every 6 to 10 µs; a -j2 build causes one every 95 µs.
	busyGap = 30 * time.Microsecond
	// The clock is read once in this many notifications, when count overflows.
	perReading = 1 << 8
)

// received counts a notification of the task tid.
func (p *wakeUpPolicy) received(tid uint32) {
	if p.count++; p.count == 0 {
		now := p.clock()
		p.busy = now.Sub(p.since) > perReading*busyGap
		p.since = now
	}
	turn := int32(0)
	if tid != p.last {
		if tid == p.previous {
			turn = everyTime
		}
		p.last, p.previous = tid, p.last
	}
	p.turns += (turn - p.turns) >> turnsShift
	if p.taking {
		p.taking = p.turns >= takingUntil
	} else {
		p.taking = p.turns >= takingFrom
	}
}

// crowded reports whether two tasks need a CPU each.
func (p *wakeUpPolicy) crowded() bool { return p.taking && p.busy }

// send sends an answer. The error is that of unotify.Send.
func (p *wakeUpPolicy) send(listener int, resp *unotify.Resp) unix.Errno {
	if !p.crowded() {
		return unotify.Send(listener, resp)
	}
	// The flag applies to both directions and to the whole listener. While this receiver
	// runs, no target has to wake it, so that clearing the flag affects only the answer.
	unotify.SetSyncWakeUp(listener, false)
	e := unotify.Send(listener, resp)
	unotify.SetSyncWakeUp(listener, true)
	return e
}
