package target

import (
	"testing"

	"golang.org/x/sys/unix"
)

// hotPaths are what most notifications need of a task that startTask has started. None
// may allocate: a handler takes a few microseconds, and garbage collection would delay
// all receivers.
//
// Others allocate, because they are rare or list directories: ProcTask (a buffer of
// PATH_MAX bytes), OpenTerminal, Processes, Threads, HostGroup, HasFreeFDs for a task that
// uses its highest descriptors, and HostPID and SeenPID across PID namespaces before Linux
// 6.11.
var hotPaths = []struct {
	name string
	path string // for do, in the task's memory
	do   func(task *Task, path uintptr) unix.Errno
}{
	{"Path", "sub/inner", func(task *Task, path uintptr) unix.Errno {
		_, e := task.Path(cwd, path, 0)
		return e
	}},
	{"Open of a name", "file", openUnder(nil)},
	{"Open of a path", "sub/inner", openUnder(nil)},
	{"Open through a link", "link", openUnder(nil)},
	{"Open through self", "/proc/self/cwd/file", openUnder(nil)},
	{"Open, restricted", "sub/inner", openUnder(&recorder{})},
	{"Open, restricted, passable", "sub/inner", openUnder(&recorder{passable: true})},
	{"Parent and OpenDirectory", "sub/new", func(task *Task, path uintptr) unix.Errno {
		dir, _, _, e := task.Parent(cwd, path)
		if e != 0 {
			return e
		}
		var st unix.Stat_t
		return closeFD(task.OpenDirectory(dir, &st))
	}},
	{"OpenParent", "sub/new", func(task *Task, path uintptr) unix.Errno {
		p, e := task.Path(cwd, path, 0)
		if e != 0 {
			return e
		}
		var st unix.Stat_t
		fd, _, _, e := task.OpenParent(p, 0, &st)
		return closeFD(fd, e)
	}},
	{"OpenFD", "", func(task *Task, _ uintptr) unix.Errno {
		var st unix.Stat_t
		return closeFD(task.OpenFD(taskFile, &st))
	}},
	{"AdoptUmask", "", func(task *Task, _ uintptr) unix.Errno { return task.AdoptUmask() }},
	{"Restrained and StartTime", "", func(task *Task, _ uintptr) unix.Errno {
		task.Restrained()
		_, e := task.StartTime()
		return e
	}},
	{"SeenPID", "", func(task *Task, _ uintptr) unix.Errno {
		_, e := task.SeenPID(task.TID)
		return e
	}},
}

// openUnder returns a function that opens a path under the guard g, and closes it.
func openUnder(g Guard) func(*Task, uintptr) unix.Errno {
	return func(task *Task, path uintptr) unix.Errno {
		task.Guard = g
		_, e := resolve(task, cwd, path, 0)
		return e
	}
}

func closeFD(fd int, e unix.Errno) unix.Errno {
	if e == 0 {
		unix.Close(fd)
	}
	return e
}

func TestHotPathsAllocateNothing(t *testing.T) {
	s := startTask(t)
	task := enter(t)
	task.Reset(uint32(s.pid))
	for _, tt := range hotPaths {
		task.Guard = nil
		path := s.put(tt.path)
		var e unix.Errno
		if n := testing.AllocsPerRun(100, func() { e |= tt.do(task, path) }); n != 0 || e != 0 {
			t.Errorf("%s: %v allocations, %v; want none", tt.name, n, e)
		}
	}
}

func BenchmarkTask(b *testing.B) {
	for _, tt := range hotPaths {
		b.Run(tt.name, func(b *testing.B) {
			s := startTask(b)
			task := enter(b)
			task.Reset(uint32(s.pid))
			path := s.put(tt.path)
			b.ReportAllocs()
			for b.Loop() {
				if e := tt.do(task, path); e != 0 {
					b.Fatal(e)
				}
			}
		})
	}
}
