package supervisor

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/unotify"
)

// initialReceivers is how many threads receive from a listener at first: a
// notification wakes all of them, so each idle one costs.
const initialReceivers = 1

// policy decides on which CPU a receiver and the tasks that it answers wake each
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
type policy struct {
	last, previous uint32 // the tasks that the last notifications came from: two that differ
	turns          int32  // how often the two take turns: a moving average, in parts of everyTime
	crowded        bool   // two tasks are busy at once
}

const (
	everyTime = 1 << 20
	// turnsShift makes the average one over about 1000 notifications, which is a
	// few processes of a build. Over 32 and over 256 it flapped in a build.
	turnsShift = 10
	// Of the notifications 17 % take turns in a `make -j2` of small C files, 0.9 %
	// in `make -j1`, and none in cp, find and tar.
	crowdedFrom = everyTime * 4 / 100
	// Leaving later than entering keeps the quiet moments of a -j2 build crowded.
	crowdedUntil = everyTime / 100
	// Tasks that take turns nearly always (49 % in `tar | tar`) compute too little
	// between their calls to gain by a CPU of their own: there, 1.45x as long.
	crowdedAtMost = everyTime * 38 / 100
)

// received takes note of a notification of a task.
func (p *policy) received(tid uint32) {
	now := int32(0)
	if tid != p.last {
		if tid == p.previous {
			now = everyTime
		}
		p.last, p.previous = tid, p.last
	}
	p.turns += (now - p.turns) >> turnsShift
	from := int32(crowdedFrom)
	if p.crowded {
		from = crowdedUntil
	}
	p.crowded = from <= p.turns && p.turns <= crowdedAtMost
}

// send answers a notification.
func (p *policy) send(listener int, resp *unotify.Resp) unix.Errno {
	if !p.crowded {
		return unotify.Send(listener, resp)
	}
	// The flag holds for the whole listener. But while this receiver runs, it is
	// not asleep, so it does not matter to it how a task would wake it.
	unotify.SetSyncWakeUp(listener, false)
	e := unotify.Send(listener, resp)
	unotify.SetSyncWakeUp(listener, true)
	return e
}
