// Command gouser becomes another user, as gosu and su-exec do, with many threads. Go's
// runtime changes the ids of each thread, and ends the program unless all get the same
// result.
package main

import (
	"fmt"
	"log"
	"os"
	"runtime"
	"slices"
	"sync"
	"syscall"
)

const threads = 12

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	var wg sync.WaitGroup
	change, end := make(chan struct{}), make(chan struct{})
	for range threads {
		wg.Add(1)
		go func() {
			runtime.LockOSThread()
			wg.Done()
			<-change
			if os.Geteuid() != 1000 || os.Getegid() != 1001 {
				log.Fatalf("a thread is %d:%d", os.Geteuid(), os.Getegid())
			}
			wg.Done()
			<-end
		}()
	}
	wg.Wait()
	must(syscall.Setgroups([]int{5, 4, 1001}))
	must(syscall.Setgid(1001))
	must(syscall.Setuid(1000))
	wg.Add(threads)
	close(change)
	wg.Wait()
	groups, err := syscall.Getgroups()
	must(err)
	if want := []int{4, 5, 1001}; !slices.Equal(groups, want) {
		log.Fatalf("the groups are %v, want %v", groups, want)
	}
	if err := syscall.Setuid(0); err != syscall.EPERM {
		log.Fatalf("back to root: %v, want EPERM", err)
	}
	close(end)
	fmt.Println("all threads are 1000:1001")
	if len(os.Args) > 1 {
		must(syscall.Exec(os.Args[1], os.Args[1:], os.Environ()))
	}
}
