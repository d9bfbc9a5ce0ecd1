package program

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// variable tells a program that the other one has executed it: its value is the number of
// the descriptor that it inherits.
const variable = "_SUBUIDLESS_FD"

// versionVariable tells an image program that is a file of its own which version the main
// program has.
const versionVariable = "_SUBUIDLESS_VERSION"

// version returns the version of the module that the calling program was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	return info.Main.Version
}

// ExecImage executes the image program in place of the calling main program, with the same
// arguments and environment. It returns only if it fails.
func ExecImage() error {
	self, l, err := openSelf()
	if err != nil {
		return err
	}
	path, variables := "/proc/self/exe", []string(nil)
	if joint.image == 0 || l.main == l.image {
		if path, err = installedImage(); err != nil {
			return err
		}
		variables = []string{versionVariable + "=" + version()}
	}
	args := append([]string{imageName + " " + os.Args[0]}, os.Args[1:]...)
	return replace(path, args, self, variables...)
}

// Main is the main program, for the image program that it has executed.
type Main struct{ file *os.File }

// Caller returns the main program that has executed the calling process. It returns an error
// if somebody else has, or if the two are of different versions.
func Caller() (Main, error) {
	f := Inherited()
	if f == nil {
		return Main{}, fmt.Errorf("%s is a part of subuidless: run subuidless instead", os.Args[0])
	}
	os.Args[0] = strings.TrimPrefix(os.Args[0], imageName+" ")
	theirs, separate := os.LookupEnv(versionVariable)
	os.Unsetenv(versionVariable)
	if own := version(); separate && theirs != own {
		return Main{}, fmt.Errorf("%s is of version %s, but %s beside it of version %s: install both of one version, with go install github.com/rootless-containers/subuidless/cmd/...@latest", Main{f}.path(), theirs, imageName, own)
	}
	return Main{f}, nil
}

// Exec executes the main program in place of the calling image program, with the same
// arguments, and with input as what Inherited returns. It returns only if it fails.
func (m Main) Exec(input *os.File) error { return replace(m.path(), os.Args, input) }

// Command returns the command that starts the main program as a child process with the
// arguments of the calling process, and with input as what Inherited returns. Descriptor 3 is
// input, and the descriptors of ExtraFiles that the caller adds follow it.
func (m Main) Command(input *os.File) *exec.Cmd {
	cmd := exec.Command(m.path())
	cmd.Args = os.Args
	cmd.Env = append(os.Environ(), variable+"=3")
	cmd.ExtraFiles = []*os.File{input}
	return cmd
}

// path returns the path of the main program. The kernel names a process after it, so it is
// the one in the file system, unless another file has that name by now.
func (m Main) path() string {
	proc := fmt.Sprintf("/proc/self/fd/%d", m.file.Fd())
	name, err := os.Readlink(proc)
	if err != nil {
		return proc
	}
	st, err := os.Stat(name)
	if err != nil {
		return proc
	}
	if ours, err := m.file.Stat(); err != nil || !os.SameFile(st, ours) {
		return proc
	}
	return name
}

// replace executes the program path in place of the calling one. The program inherits input, and
// gets further variables.
func replace(path string, args []string, input *os.File, variables ...string) error {
	if err := closeOnExec(input, false); err != nil {
		return err
	}
	env := append(os.Environ(), variable+"="+strconv.Itoa(int(input.Fd())))
	env = append(env, variables...)
	err := unix.Exec(path, args, env)
	runtime.KeepAlive(input)
	return fmt.Errorf("executing the other part of subuidless: %w", err)
}

// Inherited returns the file that the other program passes to this one, or nil if it has not
// executed this one. It may be called once.
func Inherited() *os.File {
	value, found := os.LookupEnv(variable)
	if !found {
		return nil
	}
	os.Unsetenv(variable)
	fd, err := strconv.Atoi(value)
	if err != nil || fd < 3 {
		return nil
	}
	f := os.NewFile(uintptr(fd), "subuidless")
	if f == nil || closeOnExec(f, true) != nil {
		return nil
	}
	// The kernel names a process after the file, which is a number in /proc/self/fd.
	_ = os.WriteFile("/proc/self/comm", []byte("subuidless"), 0)
	return f
}

func closeOnExec(f *os.File, on bool) error {
	flags := 0
	if on {
		flags = unix.FD_CLOEXEC
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETFD, flags); err != nil {
		return fmt.Errorf("descriptor %d: %w", f.Fd(), err)
	}
	return nil
}
