// Command gostorm creates files from several goroutines while each of its threads receives
// SIGURG, the signal with which Go's runtime preempts goroutines, a thousand times a
// second. It fails if a call takes effect twice.
//
// Usage: gostorm UID SECONDS
package main

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const workers = 4

func main() {
	uid, err := strconv.Atoi(os.Args[1])
	check(err)
	seconds, err := strconv.ParseFloat(os.Args[2], 64)
	check(err)
	check(os.Mkdir("go", 0o777))
	check(os.Chmod("go", 0o777|os.ModeSetgid)) // where the supervisor creates root's files, too
	check(os.Chown("go", 0, 7))
	check(syscall.Setgroups(nil))
	check(syscall.Setresuid(uid, uid, uid))
	end := time.Now().Add(time.Duration(seconds * float64(time.Second)))
	var signals, calls atomic.Int64
	var done atomic.Bool
	storm := make(chan struct{})
	go func() {
		defer close(storm)
		for ; !done.Load(); time.Sleep(time.Millisecond) {
			threads, err := os.ReadDir("/proc/self/task")
			check(err)
			for _, thread := range threads {
				tid, err := strconv.Atoi(thread.Name())
				check(err)
				// The thread ends.
				if syscall.Tgkill(os.Getpid(), tid, syscall.SIGURG) == nil {
					signals.Add(1)
				}
			}
		}
	}()
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			for time.Now().Before(end) {
				calls.Add(round(filepath.Join("go", strconv.Itoa(worker)), uid))
			}
		})
	}
	wg.Wait()
	done.Store(true)
	<-storm
	fmt.Printf("%d calls, %d signals\n", calls.Load(), signals.Load())
}

// round creates one file of each kind and removes it. Package os repeats calls that return
// EINTR.
func round(name string, uid int) (calls int64) {
	check(os.Mkdir(name, 0o700))
	owned(name, uid)
	file, link := filepath.Join(name, "file"), filepath.Join(name, "link")
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	check(err)
	check(f.Close())
	owned(file, uid)
	check(os.Symlink("target", link))
	owned(link, uid)
	check(os.Chmod(file, 0o640))
	check(os.Rename(file, file+"2"))
	check(os.Link(file+"2", file))
	check(os.Remove(file))
	check(os.Remove(file + "2"))
	check(os.Remove(link))
	check(os.Remove(name))
	return 14
}

func owned(name string, uid int) {
	info, err := os.Lstat(name)
	check(err)
	if got := int(info.Sys().(*syscall.Stat_t).Uid); got != uid {
		log.Fatalf("%s belongs to %d, want %d", name, got, uid)
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
