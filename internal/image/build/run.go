package build

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/image/build/dockerfile"
	"github.com/rootless-containers/subuidless/internal/image/build/files"
	"github.com/rootless-containers/subuidless/internal/image/container"
	"github.com/rootless-containers/subuidless/internal/image/layer"
	"github.com/rootless-containers/subuidless/internal/image/overlay"
	"github.com/rootless-containers/subuidless/internal/image/prepared"
	"github.com/rootless-containers/subuidless/internal/image/store"
	"github.com/rootless-containers/subuidless/internal/image/unpack"
	"github.com/rootless-containers/subuidless/internal/isolation"
	"github.com/rootless-containers/subuidless/internal/launch"
	"github.com/rootless-containers/subuidless/internal/statistics"
)

// runMaker makes the layer of RUN.
type runMaker struct {
	k      *stageBuilder
	run    *dockerfile.Run
	mounts []mountSource // of run.Mounts
}

func (m *runMaker) inputs() any {
	var sources []string
	for _, s := range m.mounts {
		sources = append(sources, s.content)
	}
	run := *m.run
	run.Proxies = nil
	inputs := []any{"run", run, sources}
	if len(m.k.Hosts) > 0 {
		inputs = append(inputs, m.k.Hosts)
	}
	if len(m.k.Limits) > 0 {
		inputs = append(inputs, "limits", m.k.Limits)
	}
	return inputs
}

func (m *runMaker) close() error { return nil }

// newRun prepares RUN.
func (k *stageBuilder) newRun(ctx context.Context, r *dockerfile.Run) (layerMaker, error) {
	if r.Network == "default" && k.Network != "" {
		r.Network = k.Network
	}
	if isolation.Current() == isolation.Chroot {
		if err := refuseMounts(r); err != nil {
			return nil, err
		}
	}
	m := &runMaker{k: k, run: r}
	for i := range r.Mounts {
		s, err := k.mountSource(ctx, &r.Mounts[i])
		if err != nil {
			return nil, fmt.Errorf("--mount=type=%s: %w", r.Mounts[i].Type, err)
		}
		m.mounts = append(m.mounts, *s)
	}
	return m, nil
}

// hostname is the name of the machine in RUN: always the same, because some programs put it into
// what they build.
const hostname = "subuidless-build"

// rootDirs has the directories of the root file system of one RUN.
type rootDirs struct{ dir, rootfs, upper, work string }

func (m *runMaker) make(ctx context.Context, out output) (_ *store.CachedLayer, err error) {
	k := m.k
	var d rootDirs
	if d.dir, err = os.MkdirTemp(k.tmp, "run-"); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, layer.RemoveAll(d.dir)) }()
	for name, to := range map[string]*string{"rootfs": &d.rootfs, "upper": &d.upper, "work": &d.work} {
		*to = filepath.Join(d.dir, name)
		if err := os.Mkdir(*to, 0o755); err != nil {
			return nil, err
		}
	}
	l := &launch.RunOptions{
		Rootfs: d.rootfs, Args: m.run.Args, User: m.run.User, Workdir: m.run.Dir, Dirs: []string{m.run.Dir},
		Net: launch.NetHost, Hostname: hostname, Hosts: m.k.Hosts, Limits: m.k.Limits, ShmSize: m.k.ShmSize,
		Env:        append(append([]string{}, m.run.Proxies...), m.run.Env...),
		Supervisor: m.k.Supervisor,
	}
	if k.Counted != nil {
		l.Counts = filepath.Join(d.dir, "counts")
		defer func() { err = errors.Join(err, k.count(l.Counts)) }()
	}
	if m.run.Network == "none" {
		l.Net = launch.NetNone
	}
	change := &files.Change{Changed: layer.Changed{Lower: k.paths(k.state)}, Latest: k.epoch, Stubs: []string{"/proc", "/sys", "/dev", "/etc/hosts", "/etc/resolv.conf"}}
	if err := m.makeRoot(ctx, &d, l, change); err != nil {
		return nil, err
	}
	closeMounts, err := m.mount(ctx, d.dir, l)
	defer func() { err = errors.Join(err, closeMounts()) }()
	if err != nil {
		return nil, err
	}
	if err := m.executeWithMounts(ctx, l, change, d.dir, out); err != nil {
		return nil, err
	}
	archive, unpacked := filepath.Join(d.dir, "archive"), ""
	if change.Copy != "" {
		unpacked = filepath.Join(d.dir, "layer")
		if err := os.Mkdir(unpacked, 0o755); err != nil {
			return nil, err
		}
	}
	made, err := k.files.Change(change, archive, unpacked)
	if err != nil {
		return nil, err
	}
	if unpacked == "" {
		unpacked = d.upper
	}
	return k.newLayer(k.state, made, archive, unpacked)
}

// count reports what a RUN has written to its file of counts.
func (b *builder) count(file string) error {
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil // it was not supervised by this build, or has not begun
	}
	var counts []statistics.Named
	if err == nil {
		err = json.Unmarshal(text, &counts)
	}
	if err != nil {
		return fmt.Errorf("the counts of system calls: %w", err)
	}
	b.Counted(counts)
	return nil
}

// executeWithMounts runs the command. Change learns which paths are those of mounts. Files of the
// run are in the directory dir.
func (m *runMaker) executeWithMounts(ctx context.Context, l *launch.RunOptions, change *files.Change, dir string, out output) error {
	if isolation.Current() != isolation.Chroot {
		for _, mount := range l.Mounts {
			change.Stubs = append(change.Stubs, mount.Target)
		}
		return m.execute(ctx, l, out)
	}
	l.Hostname = "" // that of the host
	undo, err := place(l, change, dir)
	if err == nil {
		err = m.execute(ctx, l, out)
	}
	return errors.Join(err, undo())
}

// makeRoot makes the root file system for l: by overlayfs, or else as a copy. Change learns
// where changes will be.
func (m *runMaker) makeRoot(ctx context.Context, d *rootDirs, l *launch.RunOptions, change *files.Change) error {
	k := m.k
	driver := k.Driver
	for _, dir := range change.Lower {
		if layer.HasOwnMarks(dir) {
			driver = container.DriverCopy
		}
	}
	if len(change.Lower) == 0 {
		driver = container.DriverCopy
	}
	if driver == "" {
		var err error
		if driver, err = container.BestDriver(k.store, k.use); err != nil {
			return err
		}
	}
	if driver == container.DriverCopy {
		return m.copyRoot(ctx, d, change)
	}
	upper, err := filepath.Rel(k.store.LayersDir(), d.dir)
	if err != nil {
		return err
	}
	change.Upper = d.upper
	l.Layers = &launch.Layers{
		Mount: overlay.Mount{Dir: k.store.LayersDir(), Lower: k.state.ids(), Upper: filepath.Join(upper, "upper"), Work: filepath.Join(upper, "work")},
		Name:  "of the stage",
	}
	return container.CopyRootAttributes(change.Lower[0], d.upper)
}

// copyRoot copies the layers to the root file system.
func (m *runMaker) copyRoot(ctx context.Context, d *rootDirs, change *files.Change) error {
	change.Copy = d.rootfs
	if len(change.Lower) > 0 {
		if err := unpack.Merge(ctx, m.k.store, m.k.use, isolation.Current().NativeOwners(), change.Lower, d.rootfs); err != nil {
			return err
		}
	}
	var err error
	change.Since, err = nextTick(filepath.Join(d.dir, "marker"))
	return err
}

// nextTick returns a time of the clock of a file system that is later than those of all changes
// before the call, and no later than those of all changes after it. Name is that of a new file.
//
// The clock ticks every few milliseconds, so a change before the call may have the time of now.
func nextTick(name string) (time.Time, error) {
	f, err := os.Create(name)
	if err != nil {
		return time.Time{}, err
	}
	defer f.Close()
	var first, st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &first); err != nil {
		return time.Time{}, err
	}
	for st = first; st.Ctim == first.Ctim; {
		time.Sleep(time.Millisecond)
		if err := f.Chmod(0o600); err != nil {
			return time.Time{}, err
		}
		if err := unix.Fstat(int(f.Fd()), &st); err != nil {
			return time.Time{}, err
		}
	}
	return time.Unix(st.Ctim.Unix()), nil
}

// execute runs the command. The container ends with the process that runs it.
func (m *runMaker) execute(ctx context.Context, l *launch.RunOptions, out output) error {
	cmd, input, err := prepared.Container{Launch: *l}.Command(m.k.Main)
	if err != nil {
		return err
	}
	defer input.Close()
	cmd.Stdout, cmd.Stderr = out, out
	// The terminal must not interrupt it before this process, which cleans up.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGKILL}
	cmd.WaitDelay = waitDelay
	err = m.wait(ctx, cmd)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		failed := &RunError{Args: m.run.Args, Status: exit.ExitCode(), Last: out.Last()}
		if p := m.k.state.base.Image.Platform; failed.Status == launch.StatusNotExecutable && p.Architecture != runtime.GOARCH {
			failed.Foreign = dockerfile.FormatPlatform(p)
		}
		return failed
	}
	return err
}

// waitDelay is how long a process that the command has left behind may keep its output open.
const waitDelay = 10 * time.Second

// wait runs cmd, which ends with ctx.
func (m *runMaker) wait(ctx context.Context, cmd *exec.Cmd) error {
	// Pdeathsig is about the thread that starts a process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() }) // an error means that it has ended
	defer stop()
	return cmd.Wait()
}

// RunError means that the command of a RUN has failed.
type RunError struct {
	Args   []string
	Status int      // as a shell reports it
	Last   []string // the last lines of its output

	Foreign string // the platform of a command that this machine cannot execute; empty: that is not why
}

func (e *RunError) Error() string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "the command %q failed with exit status %d", abbreviate(strings.Join(e.Args, " ")), e.Status)
	for _, l := range e.Last {
		b.WriteString("\n  | " + l)
	}
	if e.Foreign != "" {
		fmt.Fprintf(&b, "\nthe stage is for %s: RUN needs an emulator that binfmt_misc names with its flag F, such as Debian's qemu-user-static; or let the stage be FROM --platform=$BUILDPLATFORM", e.Foreign)
	}
	return b.String()
}

// abbreviate returns a command in one line that is not too long.
func abbreviate(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > 200 {
		return string(r[:197]) + "..."
	}
	return text
}
