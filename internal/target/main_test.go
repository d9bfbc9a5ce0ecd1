package target

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/workertest"
)

// taskMode in the environment makes the test binary run as a task under test.
const taskMode = "TARGET_TEST_TASK"

func TestMain(m *testing.M) {
	if os.Getenv(taskMode) != "" {
		runTask()
		return
	}
	os.Exit(workertest.Run(m))
}

// enter makes the test's thread a receiver. The thread ends with the test, because it
// stays locked.
func enter(t testing.TB) *Task {
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
	task, err := Enter(open("/proc", unix.O_PATH), View{MountNS: open("/proc/self/ns/mnt", unix.O_RDONLY), Root: open("/", unix.O_PATH)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(task.Close)
	return task
}
