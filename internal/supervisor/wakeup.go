package supervisor

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/unotify"
)

// initialReceivers is how many threads receive from a listener at first: a
// notification wakes all of them, so each idle one costs.
const initialReceivers = 1

// wakeUpPolicy decides on which CPU a receiver and the tasks that it answers wake each
// other. docs/receivers.md has the measurements. Each receiver has its own: it
// is not locked.
//
// A task always wakes the receiver on its own CPU (sync wake-up), which the task
// leaves to it in the same moment. The other way round it depends. For one busy
// task the same is best: 2 µs a round trip, where waking it on another CPU takes
// 7 µs. But of two busy tasks the receiver pulls one over to the other's CPU now
// and then, and there both stay, and the other CPU idles, until the kernel
// balances the load milliseconds later. Then answers leave the choice of the CPU
// to the kernel: the next one moves a task to a CPU that idles.
type wakeUpPolicy struct {
	last, previous uint32 // the tasks that the last notifications came from: two that differ
	turns          int32  // how often the two take turns: a moving average, in parts of everyTime
	taking         bool   // two tasks take turns

	clock func() time.Time
	count uint8     // notifications since
	since time.Time // this time
	busy  bool      // the tasks work for themselves between their calls
}

const (
	everyTime = 1 << 20
	// turnsShift makes the average one over about 256 notifications, which is many
	// processes of a build. Over 32 it flapped.
	turnsShift = 8
	// Of the notifications 17 % take turns in a `make -j2` of small C files, 0.9 %
	// in `make -j1`, and none in cp, find and tar.
	takingFrom = everyTime * 4 / 100
	// Leaving later than entering keeps the quiet moments of a -j2 build in it.
	takingUntil = everyTime / 100

	// Tasks that do little but notified calls gain nothing by a CPU of their own:
	// `tar | tar` would take 1.45 times as long. There, and with two `find`, a
	// notification comes every 6 to 10 µs, in a -j2 build every 95 µs.
	busyGap = 30 * time.Microsecond
	// The clock is read once in so many notifications: until count overflows.
	perReading = 1 << 8
)

// received takes note of a notification of a task.
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

// crowded tells whether two tasks need a CPU each.
func (p *wakeUpPolicy) crowded() bool { return p.taking && p.busy }

// send answers a notification.
func (p *wakeUpPolicy) send(listener int, resp *unotify.Resp) unix.Errno {
	if !p.crowded() {
		return unotify.Send(listener, resp)
	}
	// The flag holds for the whole listener. But while this receiver runs, it is
	// not asleep, so it does not matter to it how a task would wake it.
	unotify.SetSyncWakeUp(listener, false)
	e := unotify.Send(listener, resp)
	unotify.SetSyncWakeUp(listener, true)
	return e
}
