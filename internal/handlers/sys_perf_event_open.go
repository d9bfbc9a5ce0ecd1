package handlers

import "golang.org/x/sys/unix"

// PerfEventOpen handles perf_event_open(attr, pid, cpu, group_fd, flags).
//
// perf_event_open(2): "EACCES Returned when the requested event requires CAP_PERFMON (since Linux
// 5.8) or CAP_SYS_ADMIN permissions", and of other processes: "governed by a ptrace access mode
// PTRACE_MODE_READ_REALCREDS check".
func PerfEventOpen(c *Call) Result {
	pid := c.int32(1)
	switch {
	case pid <= 0, c.uint32(4)&unix.PERF_FLAG_PID_CGROUP != 0,
		!c.lacksCapInContainer(unix.CAP_PERFMON), !c.lacksCapInContainer(unix.CAP_SYS_ADMIN),
		c.badPointer(0): // EFAULT
		return Continue
	}
	if c.mayNotTrace(pid) {
		return Errno(unix.EACCES)
	}
	return Continue
}
