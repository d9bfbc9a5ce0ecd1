// Command cost prints what calls cost where it runs, in nanoseconds each. It is the least of many short
// rounds, so that other processes of a busy machine count for little.
//
//	cost             "stat N" and "chown N": of a file that it makes in the working directory
//	cost COMMAND...  "start N": of running the command
package main

import (
	"fmt"
	"log"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"
)

// least prints the time of a call to f, the least of rounds of n calls each.
func least(name string, rounds, n int, f func(i int) error) {
	var least time.Duration
	for round := range rounds {
		start := time.Now()
		for i := range n {
			if err := f(i); err != nil {
				log.Fatalf("%s: %v", name, err)
			}
		}
		if d := time.Since(start); round == 0 || d < least {
			least = d
		}
	}
	fmt.Println(name, least.Nanoseconds()/int64(n))
}

func main() {
	log.SetFlags(0)
	if argv := os.Args[1:]; len(argv) > 0 {
		least("start", 10, 1, func(int) error { return exec.Command(argv[0], argv[1:]...).Run() })
		return
	}
	const file = "cost"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		log.Fatal(err)
	}
	defer os.Remove(file)
	var st unix.Stat_t
	least("stat", 300, 4, func(int) error { return unix.Lstat(file, &st) })
	least("chown", 200, 2, func(i int) error { return unix.Lchown(file, 1+i%2, 1) })
}
