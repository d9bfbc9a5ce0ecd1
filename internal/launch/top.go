package launch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/moby/sys/user"
)

// TopName is the path of this program in a container, and argv[0] of a process that lists the
// container's processes: one with this name must call TopMain. It is supervised, so that it sees
// their emulated ids.
const TopName = "/proc/1/exe"

// Process is a process of a container.
type Process struct {
	User    string // its name in the container, or its uid
	PID     int    // in the container
	PPID    int
	TTY     string // ? if there is none
	Elapsed time.Duration
	Time    time.Duration // of the CPU
	Command string

	uid int
}

// TopMain writes the processes of its PID namespace, except for itself and the init, to standard
// output as JSON.
func TopMain() int {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	var all []Process
	if err == nil {
		all, err = processes(dirs, 1)
	}
	return printProcesses(all, err)
}

// topInChroot is TopMain for a container without a PID namespace, whose processes descend from
// the parent of this one. Root is where users have names: see enterChroot.
func topInChroot(root string) int {
	var dirs []string
	for _, pid := range descendants(os.Getppid(), true) {
		dirs = append(dirs, fmt.Sprintf("/proc/%d", pid))
	}
	all, err := processes(dirs, 0)
	if err == nil {
		err = enterChroot(root)
	}
	return printProcesses(all, err)
}

// printProcesses writes processes, whose users it names, as JSON, or reports the error.
func printProcesses(all []Process, err error) int {
	for i := range all {
		all[i].User = userName(all[i].uid)
	}
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(all)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "subuidless:", err)
		return StatusFailed
	}
	return 0
}

// processes returns the processes of these directories, except for the calling one and init.
func processes(dirs []string, init int) ([]Process, error) {
	b, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return nil, err
	}
	text, _, _ := strings.Cut(string(b), " ")
	uptime, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, err
	}
	all := []Process{}
	for _, dir := range dirs {
		p, err := readProcess(dir, time.Duration(uptime*float64(time.Second)))
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // it has just ended
		}
		if err != nil {
			return nil, err
		}
		if p.PID != init && p.PID != os.Getpid() {
			all = append(all, *p)
		}
	}
	slices.SortFunc(all, func(a, b Process) int { return a.PID - b.PID })
	return all, nil
}

// tick is the unit of times in /proc/PID/stat: USER_HZ, which is 100 on all architectures that
// Go supports.
const tick = time.Second / 100

// readStat reads the stat of the process of the directory dir: its name, and what follows, from the
// third field on, except for the state.
func readStat(dir string) (name string, numbers [20]int64, err error) {
	b, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return "", numbers, err
	}
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	fields := strings.Fields(string(b[end+1:]))
	if open < 0 || end < 0 || len(fields) < len(numbers) {
		return "", numbers, fmt.Errorf("%s/stat: unknown format", dir)
	}
	for i := 1; i < len(numbers); i++ {
		numbers[i], _ = strconv.ParseInt(fields[i], 10, 64) // all of them are numbers: proc_pid_stat(5)
	}
	return string(b[open+1 : end]), numbers, nil
}

// readProcess reads what proc(5) says about the process of the directory dir.
func readProcess(dir string, uptime time.Duration) (*Process, error) {
	var st syscall.Stat_t
	if err := syscall.Stat(dir, &st); err != nil {
		return nil, err
	}
	name, numbers, err := readStat(dir)
	if err != nil {
		return nil, err
	}
	p := &Process{
		uid: int(st.Uid), PPID: int(numbers[1]), TTY: ttyName(numbers[4]), Command: name,
		Time: time.Duration(numbers[11]+numbers[12]) * tick, Elapsed: uptime - time.Duration(numbers[19])*tick,
	}
	if p.PID, err = strconv.Atoi(filepath.Base(dir)); err != nil {
		return nil, err
	}
	command, err := os.ReadFile(filepath.Join(dir, "cmdline"))
	if command = bytes.TrimRight(command, "\x00"); err == nil && len(command) > 0 {
		p.Command = string(bytes.ReplaceAll(command, []byte{0}, []byte{' '}))
	}
	return p, err
}

func userName(uid int) string {
	u, err := user.LookupUid(uid)
	if err != nil {
		return strconv.FormatUint(uint64(uint32(uid)), 10)
	}
	return u.Name
}

// ttyName returns the name of a terminal by its device number.
func ttyName(device int64) string {
	major, minor := device>>8&0xfff, device&0xff|device>>12&0xfff00
	switch {
	case major >= 136 && major <= 143: // Unix98 pseudo-terminals: devices.txt of the kernel
		return fmt.Sprintf("pts/%d", (major-136)<<8+minor)
	case device == 0:
		return "?"
	}
	return fmt.Sprintf("%d:%d", major, minor)
}
