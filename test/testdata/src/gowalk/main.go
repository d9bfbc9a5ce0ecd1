// Command gowalk looks at the files below the working directory, and prints what it sees. It asks for
// each of them from a goroutine of its own, whose stack has another size each time, and checks that
// nothing is written below these stacks. It also makes and removes files, and executes programs.
//
// With the argument "mapped", it also reports whether the process is accelerated when it begins.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
)

func main() {
	maps, err := os.ReadFile("/proc/self/maps")
	check(err)
	if len(os.Args) > 1 && bytes.Contains(maps, []byte("subuidless-accelerate")) {
		fmt.Println("accelerated")
	}
	paths := []string{}
	check(filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		paths = append(paths, path)
		return err
	}))
	dir, err := os.MkdirTemp("", "gowalk")
	check(err)
	lines := make([]string, len(paths))
	var all sync.WaitGroup
	for i, path := range paths {
		all.Go(func() {
			deep(i%50, byte(i), func() { lines[i] = look(path) })
			deep(i%53, byte(i), func() { change(filepath.Join(dir, fmt.Sprint(i))) })
		})
	}
	for range 4 {
		all.Go(func() { check(exec.Command("/bin/true").Run()) })
	}
	all.Wait()
	check(os.Remove(dir)) // which is empty
	slices.Sort(lines)
	for _, line := range lines {
		fmt.Println(line)
	}
}

// deep calls f with n more frames on the stack, and checks that these keep their contents.
func deep(n int, with byte, f func()) {
	var frame [40]byte
	for i := range frame {
		frame[i] = with
	}
	if n > 0 {
		deep(n-1, with, f)
	} else {
		f()
	}
	for _, b := range frame {
		if b != with {
			log.Fatalf("a stack has been overwritten: %x", frame)
		}
	}
}

// look returns what is seen of a file, which must be the same in different ways.
func look(path string) string {
	info, err := os.Lstat(path)
	check(err)
	st := info.Sys().(*syscall.Stat_t)
	if info.Mode().IsRegular() {
		f, err := os.Open(path)
		check(err)
		again, err := f.Stat()
		check(err)
		if !os.SameFile(info, again) || again.Sys().(*syscall.Stat_t).Uid != st.Uid {
			log.Fatalf("%s: fstat(2) gives %+v, lstat(2) %+v", path, again.Sys(), st)
		}
		check(f.Close())
	}
	if _, err := os.Lstat(path + "none"); !errors.Is(err, fs.ErrNotExist) {
		log.Fatalf("%snone: %v", path, err)
	}
	if e := syscall.Access(path, 4); e != nil {
		log.Fatalf("access %s: %v", path, e)
	}
	link := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		link, err = os.Readlink(path)
		check(err)
	}
	return fmt.Sprintf("%s %v %d:%d %#x %d %s", path, info.Mode(), st.Uid, st.Gid, st.Rdev, info.Size(), link)
}

// change makes and removes files, whose names begin with path.
func change(path string) {
	check(os.Mkdir(path, 0o700))
	if err := os.Mkdir(path, 0o700); !errors.Is(err, fs.ErrExist) {
		log.Fatalf("mkdir %s: %v", path, err)
	}
	file := filepath.Join(path, "file")
	check(os.WriteFile(file, []byte("12345"), 0o600))
	check(os.Chmod(file, 0o640))
	check(os.Rename(file, file+"2"))
	check(os.Symlink("file2", file))
	info, err := os.Stat(file)
	check(err)
	if info.Size() != 5 || info.Mode() != 0o640 {
		log.Fatalf("%s: %v, %d bytes", file, info.Mode(), info.Size())
	}
	entries, err := os.ReadDir(path)
	check(err)
	if len(entries) != 2 {
		log.Fatalf("%s: %v", path, entries)
	}
	check(os.Remove(file + "2"))
	check(os.Remove(file))
	check(os.Remove(path))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
