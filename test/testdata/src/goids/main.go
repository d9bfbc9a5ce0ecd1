// Command goids becomes another user, as gosu does, and executes a command. A Go program
// does so with many threads and without a C library.
//
//	goids UID:GID COMMAND...
package main

import (
	"fmt"
	"log"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

func main() {
	var uid, gid int
	if _, err := fmt.Sscanf(os.Args[1], "%d:%d", &uid, &gid); err != nil {
		log.Fatal(err)
	}
	if err := os.Symlink("nowhere", "go-link"); err != nil {
		log.Fatal(err)
	}
	if err := syscall.Lchown("go-link", uid, gid); err != nil {
		log.Fatal(err)
	}
	// Threads that sleep while the ids change.
	var started, changed sync.WaitGroup
	changed.Add(1)
	results := make(chan string, 4)
	for i := range cap(results) {
		started.Add(1)
		go func() {
			runtime.LockOSThread()
			started.Done()
			changed.Wait()
			name := fmt.Sprintf("go-%d", i)
			if err := os.WriteFile(name, nil, 0o644); err != nil {
				log.Fatal(err)
			}
			results <- fmt.Sprint("thread ", syscall.Getuid(), " ", syscall.Geteuid(), " ", syscall.Getgid())
		}()
	}
	started.Wait()
	if err := syscall.Setgroups([]int{gid, 12345}); err != nil {
		log.Fatal(err)
	}
	if err := syscall.Setgid(gid); err != nil {
		log.Fatal(err)
	}
	if err := syscall.Setuid(uid); err != nil {
		log.Fatal(err)
	}
	changed.Done()
	for range cap(results) {
		fmt.Println(<-results)
	}
	groups, err := syscall.Getgroups()
	fmt.Println("main", syscall.Getuid(), syscall.Geteuid(), syscall.Getgid(), groups, err)
	fmt.Println("chown", syscall.Lchown("go-link", 0, 0))
	// The child of os/exec tries to become yet another user, and fails.
	child := exec.Command("id")
	child.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 0}}
	fmt.Println("child", child.Run())
	program, err := exec.LookPath(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(syscall.Exec(program, os.Args[2:], os.Environ()))
}
