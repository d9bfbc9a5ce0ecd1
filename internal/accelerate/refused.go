package accelerate

import (
	"log/slog"
	"os"
	"strconv"

	"github.com/rootless-containers/subuidless/internal/accelerate/blob"
)

// A file system may refuse the attribute, and not say so to the code, which takes its files for those
// without a record. When the first one is noticed, the code stops.

// Refused takes the place of Counts once there may be records where the code does not look.
func (i *Injector) Refused(c *Call) {
	i.StopAll()
	if h := i.hint(c.PID); h.mapping == 0 && i.isFromCode(c) {
		// A child that was about to be created when StopAll stopped its parent.
		if i.adopt(h, c); h.mapping != 0 {
			i.reportRunning(Stop(c.PID))
		}
	}
}

// StopAll is Stop for all processes of the container. From then on, no code changes in it. A child that
// a process is about to create at this moment may be left: see Injector.Refused.
//
// Another container of the user has its own supervisor, which calls it, too.
func (a *Accelerator) StopAll() {
	if a.sharing.Load()&stopped != 0 {
		return
	}
	a.sharing.Or(stopping)
	for running := true; running; { // the children of a process that was not stopped yet
		running = false
		processes, err := os.ReadDir(".")
		a.reportRunning(err)
		for _, dir := range processes {
			if pid, err := strconv.ParseUint(dir.Name(), 10, 32); err == nil && a.runs(uint32(pid)) {
				if err := Stop(uint32(pid)); err == nil {
					running = true
				} else {
					a.reportRunning(err)
				}
			}
		}
	}
	a.sharing.Or(stopped)
}

// runs reports whether the process pid has code that answers calls.
func (a *Accelerator) runs(pid uint32) bool {
	p, err := open(pid, a.header)
	if err != nil {
		return false // it is none of the container, or gone
	}
	defer p.close()
	all, err := p.maps()
	if err != nil {
		return false
	}
	for k := range all {
		var off [1]byte
		if all[k].code && p.isMapped(all[k].start) && p.read(all[k].start+blob.OffOffset, off[:]) == nil && off[0] == 0 {
			return true
		}
	}
	return false
}

// reportRunning reports that processes have not been stopped.
func (a *Accelerator) reportRunning(err error) {
	if err != nil {
		slog.Warn("accelerated processes may not see owners that are recorded in the sidecar", "err", err)
	}
}
