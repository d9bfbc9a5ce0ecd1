// Command gochown repeatedly changes the owner of a file from many goroutines: a Go
// program makes system calls without a C library, and its threads receive signals all the
// time.
package main

import (
	"fmt"
	"log"
	"os"
	"sync"
	"syscall"
)

const (
	workers = 8
	rounds  = 200
)

func main() {
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			name := fmt.Sprintf("go-%d", worker)
			if err := os.WriteFile(name, nil, 0o644); err != nil {
				log.Fatal(err)
			}
			for round := range rounds {
				uid, gid := 1000*worker+round, 4294967294-round
				if err := os.Chown(name, uid, gid); err != nil {
					log.Fatal(err)
				}
				info, err := os.Stat(name)
				if err != nil {
					log.Fatal(err)
				}
				if st := info.Sys().(*syscall.Stat_t); int(st.Uid) != uid || int(st.Gid) != gid {
					log.Fatalf("%s: owner %d:%d, want %d:%d", name, st.Uid, st.Gid, uid, gid)
				}
			}
		})
	}
	wg.Wait()
	fmt.Printf("%d owners right\n", workers*rounds)
}
