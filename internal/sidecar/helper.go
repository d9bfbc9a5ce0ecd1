package sidecar

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/userns"
)

// HelperName is argv[0] of the helper: a process with this name must call HelperMain.
const HelperName = "subuidless-sidecar"

// request is what a helper is asked to do. It is its only argument, as JSON.
type request struct {
	Command string // a key of commands
	Sidecar string // absolute path of the directory
	Trees   []Tree // at least one
	All     bool   // export: records of all files
	DryRun  bool   // collect: change nothing
}

// commands are the functions that a helper executes. They read standard input, write standard
// output, and return a value for the caller of runHelper.
var commands = map[string]func(*helper) (any, error){
	"find":    (*helper).find,
	"collect": (*helper).collect,
	"export":  (*helper).export,
	"import":  (*helper).apply,
}

// helper is the state of a helper process. Its working directory is /proc.
type helper struct {
	request
	side  *owner.Sidecar
	store *owner.Store
}

// resultFD is the descriptor to which a helper writes its reply, as JSON.
const resultFD = 3

// reply is the result of a helper.
type reply struct {
	Error string          `json:",omitempty"`
	Value json.RawMessage `json:",omitempty"`
}

// runHelper executes the request in a helper and stores its result in value, which may be nil.
func runHelper(r request, in io.Reader, out io.Writer, value any) error {
	arg, err := json.Marshal(r)
	if err != nil {
		return err
	}
	ours, theirs, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ours.Close()
	cmd := &exec.Cmd{
		Path:        "/proc/self/exe",
		Args:        []string{HelperName, string(arg)},
		Stdin:       in,
		Stdout:      out,
		Stderr:      os.Stderr,
		ExtraFiles:  []*os.File{theirs},
		SysProcAttr: userns.NewProcAttr(0),
	}
	if err := cmd.Start(); err != nil {
		theirs.Close()
		return userns.Explain(fmt.Errorf("creating a user namespace: %w", err))
	}
	theirs.Close()
	var got reply
	decodeErr := json.NewDecoder(ours).Decode(&got)
	switch err := cmd.Wait(); {
	case got.Error != "":
		return errors.New(got.Error)
	case err != nil:
		return fmt.Errorf("the process that reads the files failed: %w", err)
	case decodeErr != nil:
		return fmt.Errorf("the process that reads the files has not answered: %w", decodeErr)
	case value == nil:
		return nil
	}
	return json.Unmarshal(got.Value, value)
}

// HelperMain is the main function of a helper. It returns the exit status.
func HelperMain() int {
	value, err := runRequest([]byte(os.Args[1]))
	var r reply
	if err != nil {
		r.Error = err.Error()
	} else if r.Value, err = json.Marshal(value); err != nil {
		r.Error = err.Error()
	}
	if err := json.NewEncoder(os.NewFile(resultFD, "result")).Encode(r); err != nil {
		fmt.Fprintln(os.Stderr, "subuidless:", err)
		return 1
	}
	return 0
}

// runRequest executes a request in the helper.
func runRequest(arg []byte) (any, error) {
	h := new(helper)
	if err := json.Unmarshal(arg, &h.request); err != nil {
		return nil, err
	}
	if err := os.Chdir("/proc"); err != nil { // for the paths that package owner uses
		return nil, err
	}
	unix.Umask(0) // modes of devices are those of the specification
	var err error
	if h.side, err = owner.OpenSidecar(h.Sidecar); err != nil {
		return nil, err
	}
	h.store = owner.NewStore(owner.ID{}, h.side)
	return commands[h.Command](h)
}

// warn prints a warning about one file.
func warn(path string, err any) { fmt.Fprintf(os.Stderr, "subuidless: %s: %v\n", path, err) }
