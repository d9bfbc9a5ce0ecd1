package crash

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The environment variables of a job: its name, the program subuidless, and the number of its first step.
const (
	jobVar    = "CRASH_JOB"
	binaryVar = "CRASH_SUBUIDLESS"
	firstVar  = "CRASH_FIRST"
)

var jobs = map[string]func() error{
	"kill": killUser, "files": changeFiles, "verify files": verifyFiles, "images": makeImages, "verify images": verifyImages,
}

// killUser kills all other processes of this user.
func killUser() error {
	if os.Getuid() == 0 {
		return errors.New("not as root")
	}
	if err := unix.Kill(-1, unix.SIGKILL); err != unix.ESRCH {
		return err
	}
	return nil
}

// steps calls step with numbers from the first one on, until it fails.
func steps(step func(n int) error) error {
	first, err := strconv.Atoi(os.Getenv(firstVar))
	for n := first; err == nil; n++ {
		err = step(n)
	}
	return err
}

// jobOf are the jobs that print what is begun and done.
var jobOf = map[string]string{"file": "files", "again": "files", "built": "images", "committed": "images", "loaded": "images"}

// event prints an event at once.
func event(format string, args ...any) error {
	_, err := fmt.Printf(format+"\n", args...)
	return err
}

// The kinds of files.
var kinds = []uint32{unix.S_IFREG, unix.S_IFDIR, unix.S_IFLNK, unix.S_IFIFO, unix.S_IFCHR, unix.S_IFBLK}

// fileOf returns what the file of a step is like.
func fileOf(n int) unix.Stat_t {
	st := unix.Stat_t{Mode: kinds[n%len(kinds)], Uid: uint32(1000 + n), Gid: uint32(200000 + n)}
	if st.Mode == unix.S_IFCHR || st.Mode == unix.S_IFBLK {
		st.Rdev = unix.Mkdev(uint32(1+n%200), uint32(n))
	}
	return st
}

// again is the file whose owner each step changes.
const again = "again"

// changeFiles makes files, in a container, gives them to others, and writes that to the disk.
func changeFiles() error {
	dir, err := os.Open(".")
	if err != nil {
		return err
	}
	return steps(func(n int) error {
		name, want := fmt.Sprint("f", n), fileOf(n)
		err := event("begin file %d", n)
		switch want.Mode {
		case unix.S_IFREG:
			err = errors.Join(err, os.WriteFile(name, nil, 0o644))
		case unix.S_IFDIR:
			err = errors.Join(err, os.Mkdir(name, 0o755))
		case unix.S_IFLNK:
			err = errors.Join(err, os.Symlink("target", name))
		default:
			err = errors.Join(err, unix.Mknod(name, want.Mode|0o600, int(want.Rdev)))
		}
		err = errors.Join(err, os.Lchown(name, int(want.Uid), int(want.Gid)))
		if err == nil && want.Mode == unix.S_IFREG && n%2 == 0 {
			err = errors.Join(syncFile(name), dir.Sync()) // what fsync(2) of a file promises
		} else if err == nil {
			err = unix.Syncfs(int(dir.Fd()))
		}
		if err = errors.Join(err, event("done file %d", n), event("begin again %d", n)); err != nil {
			return err
		}
		f, err := os.OpenFile(again, os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		err = errors.Join(f.Chown(1000+n, 200000+n), f.Sync(), dir.Sync(), f.Close())
		return errors.Join(err, event("done again %d", n))
	})
}

func syncFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// events are what was done before the power was cut, and what was begun.
type events struct{ done, begun map[string]map[int]bool }

// readEvents reads them from the standard input.
func readEvents() (events, error) {
	e := events{map[string]map[int]bool{}, map[string]map[int]bool{}}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var state, what string
		var n int
		if _, err := fmt.Sscan(lines.Text(), &state, &what, &n); err != nil {
			return e, err
		}
		all := e.begun
		if state == "done" {
			all = e.done
		}
		if all[what] == nil {
			all[what] = map[int]bool{}
		}
		all[what][n] = true
	}
	return e, lines.Err()
}

// last returns the highest number; -1 if there is none.
func last(numbers map[int]bool) int {
	highest := -1
	for n := range numbers {
		highest = max(highest, n)
	}
	return highest
}

// verifyFiles examines in a container what changeFiles has made.
func verifyFiles() (err error) {
	e, err := readEvents()
	for n := range e.begun["file"] {
		var st unix.Stat_t
		name, want := fmt.Sprint("f", n), fileOf(n)
		found := unix.Lstat(name, &st)
		whole := st.Uid == want.Uid && st.Gid == want.Gid
		switch {
		case found == unix.ENOENT && !e.done["file"][n]:
		case found != nil:
			err = errors.Join(err, fmt.Errorf("%s: %w", name, found))
		case st.Mode&unix.S_IFMT != want.Mode || st.Rdev != want.Rdev || !whole && (e.done["file"][n] || st.Uid != 0 || st.Gid != 0):
			err = errors.Join(err, fmt.Errorf("%s: mode %o, owner %d:%d, device %#x; want %o, %d:%d, %#x; done: %v", name, st.Mode, st.Uid, st.Gid, st.Rdev, want.Mode, want.Uid, want.Gid, want.Rdev, e.done["file"][n]))
		}
	}
	var st unix.Stat_t
	found := unix.Stat(again, &st)
	n := int(st.Uid) - 1000
	switch done, begun := last(e.done["again"]), last(e.begun["again"]); {
	case done < 0 && (found == unix.ENOENT || found == nil && st.Uid == 0 && st.Gid == 0):
	case found != nil:
		err = errors.Join(err, fmt.Errorf("%s: %w", again, found))
	case n < done || n > begun || int(st.Gid) != 200000+n:
		err = errors.Join(err, fmt.Errorf("%s: owner %d:%d, want one of the steps %d to %d", again, st.Uid, st.Gid, done, begun))
	}
	return err
}

// subuidless runs it, and returns its output.
func subuidless(args ...string) (string, error) {
	cmd := exec.Command(os.Getenv(binaryVar), args...)
	cmd.Env = append(os.Environ(), jobVar+"=")
	var messages strings.Builder
	cmd.Stderr = &messages
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s%s", strings.Join(args, " "), err, out, messages.String())
	}
	return string(out), nil
}

// dockerfile makes an image with files of different owners.
const dockerfile = `FROM scratch
COPY busybox /bin/
COPY --chown=%[1]d:33 file /copied
RUN ["/bin/busybox", "sh", "-c", "echo %[1]d > /made; /bin/busybox chown 44:%[1]d /made"]
`

// committed is the shell script that changes a container of such an image.
const committed = "/bin/busybox chown %d:55 /made"

// shown are the owners that show returns of the images of a step.
func shown(image string, n int) string {
	made := fmt.Sprintf("44:%d", 1000+n)
	if image == "committed" {
		made = fmt.Sprintf("%d:55", 1000+n)
	}
	return fmt.Sprintf("/copied %d:33\n/made %s\n", 1000+n, made)
}

// show returns the owners in an image. Before that, its layers are unpacked if needed.
func show(image string, n int) (string, error) {
	return subuidless("run", "--rm", fmt.Sprintf("%s:%d", image, n), "/bin/busybox", "stat", "-c", "%n %u:%g", "/copied", "/made")
}

// makeImages builds, commits, saves, removes and loads images.
func makeImages() error {
	context, err := os.MkdirTemp("", "context-")
	if err != nil {
		return err
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return err
	}
	program, err := os.ReadFile(busybox)
	err = errors.Join(err, os.WriteFile(filepath.Join(context, "busybox"), program, 0o755), os.WriteFile(filepath.Join(context, "file"), nil, 0o644))
	if err != nil {
		return err
	}
	return steps(func(n int) error {
		archive, container := filepath.Join(context, "archive"), fmt.Sprint("c", n)
		err := os.WriteFile(filepath.Join(context, "Dockerfile"), fmt.Appendf(nil, dockerfile, 1000+n), 0o644)
		for _, step := range []struct {
			event string
			args  []string
		}{
			{"begin built", []string{"build", "-q", "--network=none", "-t", fmt.Sprint("built:", n), context}},
			{"done built", []string{"run", "--name", container, fmt.Sprint("built:", n), "/bin/busybox", "sh", "-c", fmt.Sprintf(committed, 1000+n)}},
			{"begin committed", []string{"commit", container, fmt.Sprint("committed:", n)}},
			{"done committed", []string{"rm", container}},
			{"", []string{"save", "-o", archive, fmt.Sprint("committed:", n)}},
			{"", []string{"tag", fmt.Sprint("built:", n), fmt.Sprint("other:", n)}},
			{"begin loaded", []string{"load", "-i", archive}},
			{"done loaded", nil},
		} {
			if err == nil && step.event != "" {
				err = event("%s %d", step.event, n)
			}
			if err == nil && step.args != nil {
				_, err = subuidless(step.args...)
			}
		}
		return err
	})
}

// verifyImages examines the images. Those that the store lists must be whole, also if they were not done.
func verifyImages() error {
	e, err := readEvents()
	if err != nil {
		return err
	}
	_, err = subuidless("store", "check")
	_, perr := subuidless("ps", "-a")
	list, lerr := subuidless("images", "--format", "{{.Repository}} {{.Tag}}")
	err = errors.Join(err, perr, lerr)
	for _, image := range []string{"built", "committed"} {
		there := map[int]bool{}
		for line := range strings.Lines(list) {
			name, tag, _ := strings.Cut(strings.TrimSpace(line), " ")
			if n, e := strconv.Atoi(tag); e == nil && filepath.Base(name) == image {
				there[n] = true
			}
		}
		for n := range e.done[image] {
			if !there[n] {
				err = errors.Join(err, fmt.Errorf("image %s:%d is missing", image, n))
			}
		}
		// Earlier ones have been examined after earlier cuts.
		for n := range there {
			if n < last(e.begun[image])-1 {
				continue
			}
			got, serr := show(image, n)
			if serr == nil && got != shown(image, n) {
				serr = fmt.Errorf("image %s:%d: %q, want %q", image, n, got, shown(image, n))
			}
			err = errors.Join(err, serr)
		}
	}
	// A container of the step that was interrupted would be in the way of the next one.
	rest, perr := subuidless("ps", "-aq")
	err = errors.Join(err, perr)
	for id := range strings.FieldsSeq(rest) {
		_, rerr := subuidless("rm", "-f", id)
		err = errors.Join(err, rerr)
	}
	return err
}
