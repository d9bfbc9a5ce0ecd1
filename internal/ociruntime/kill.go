package ociruntime

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// kill executes the command kill. With --all, the runtimes find the processes of a container by
// its cgroup; without one, they are those in the namespaces of its first process. As with the
// runtimes, it is no error if there are none: containerd kills all when the first one has ended.
func (r *runtime) kill(c *command) (int, error) {
	rec, ok, err := r.use(c.id)
	if err != nil {
		return statusFailed, err
	}
	if len(c.further) > 1 {
		return statusFailed, fmt.Errorf("kill: unexpected argument %q after the signal", c.further[1])
	}
	if !ok || rec.Cgroups || !c.bool("all") {
		return r.become(r.arguments(rec.Cgroups, c.arguments(nil, nil)...))
	}
	sig := unix.SIGTERM
	if len(c.further) > 0 {
		if sig, err = parseSignal(c.further[0]); err != nil {
			return statusFailed, err
		}
	}
	init, err := r.initOf(rec)
	if err != nil {
		return statusFailed, err
	}
	var m members
	if init != 0 {
		m, err = membersOf(init)
	} else {
		m, err = membersIn(rec.Rootfs)
	}
	if err != nil {
		return statusFailed, err
	}
	pids, err := m.list()
	if err != nil {
		return statusFailed, err
	}
	for _, pid := range pids {
		if e := sys.SignalIf(pid, sig, func() bool { return m.has(pid) }); e != 0 && e != unix.ESRCH {
			return statusFailed, fmt.Errorf("kill: process %d of container %s: %w", pid, c.id, e)
		}
	}
	return 0, nil
}

// parseSignal parses the number of a signal, or its name with or without SIG.
func parseSignal(text string) (unix.Signal, error) {
	if n, err := strconv.ParseUint(text, 10, 6); err == nil {
		return unix.Signal(n), nil
	}
	if sig := unix.SignalNum("SIG" + strings.TrimPrefix(strings.ToUpper(text), "SIG")); sig != 0 {
		return sig, nil
	}
	return 0, fmt.Errorf("kill: unknown signal %q", text)
}
