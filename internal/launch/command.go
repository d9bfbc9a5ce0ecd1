package launch

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// The exit statuses that mean that the command did not run, the same as those of env(1),
// timeout(1) and container engines.
const (
	StatusFailed        = 125 // subuidless itself failed
	StatusNotExecutable = 126 // the command exists, but cannot be executed
	StatusNotFound      = 127 // the command does not exist
)

// execute replaces the calling process with the command args, in the environment env (nil:
// the caller's). It returns, with the exit status, only on failure.
func execute(args, env []string) (status int, err error) {
	path, status, err := lookPath(args[0], os.Getenv("PATH"))
	if err != nil {
		return status, err
	}
	return execPath(path, args, env)
}

func execPath(path string, args, env []string) (status int, err error) {
	if env == nil {
		env = os.Environ()
	}
	return describeExec(path, unix.Exec(path, args, env))
}

// describeExec returns the exit status and the message for an error of execve(2).
func describeExec(path string, err error) (int, error) {
	switch err {
	case unix.ENOENT, unix.ENOTDIR:
		// The file itself exists: lookPath has checked that.
		return StatusNotFound, fmt.Errorf("%s: its interpreter (in the #! line) or dynamic loader was not found: %w", path, err)
	case unix.ENOEXEC:
		return StatusNotExecutable, fmt.Errorf("%s: %w (a program for another architecture, or a script without a #! line)", path, err)
	case unix.EACCES:
		return StatusNotExecutable, fmt.Errorf("%s: %w (not executable, or on a file system mounted noexec)", path, err)
	}
	return StatusNotExecutable, fmt.Errorf("%s: %w", path, err)
}

// lookPath returns the file that a shell would execute for name. A name without a slash is
// looked up in the directories of path, which has the form of $PATH: an empty element is the
// working directory. On error, status is the exit status to use.
func lookPath(name, path string) (file string, status int, err error) {
	if strings.Contains(name, "/") {
		status, err := executable(name)
		return name, status, err
	}
	notFound := fmt.Errorf("%s: command not found (in PATH=%s)", name, path)
	if name == "" {
		return "", StatusNotFound, notFound
	}
	// A file that cannot be executed does not hide later ones, and is reported only if
	// there is none.
	firstStatus, firstErr := StatusNotFound, notFound
	for _, file := range candidates(name, path) {
		status, err := executable(file)
		if err == nil {
			return file, 0, nil
		}
		if status == StatusNotExecutable && firstStatus == StatusNotFound {
			firstStatus, firstErr = status, err
		}
	}
	return "", firstStatus, firstErr
}

// candidates returns the files among which a shell looks for the command name: see lookPath.
func candidates(name, path string) []string {
	if strings.Contains(name, "/") {
		return []string{name}
	}
	if name == "" {
		return nil
	}
	var files []string
	for dir := range strings.SplitSeq(path, ":") {
		if dir == "" {
			dir = "."
		}
		files = append(files, dir+"/"+name)
	}
	return files
}

// executable returns an error, and the exit status for it, if execve(2) would refuse the
// file itself.
func executable(file string) (status int, err error) {
	var st unix.Stat_t
	if err := unix.Stat(file, &st); err != nil {
		return StatusNotFound, fmt.Errorf("%s: %w", file, err)
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return StatusNotExecutable, fmt.Errorf("%s: %w", file, unix.EISDIR)
	}
	if err := unix.Faccessat(unix.AT_FDCWD, file, unix.X_OK, unix.AT_EACCESS); err != nil {
		return StatusNotExecutable, fmt.Errorf("%s: %w (if it is a program, try chmod +x)", file, err)
	}
	return 0, nil
}
