package ociruntime

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// delete executes the command delete.
func (r *runtime) delete(c *command) (status int, err error) {
	if c.bool("regex") {
		return r.deleteMatching(c)
	}
	rec, ok, err := r.use(c.id)
	if errors.Is(err, errDamaged) && c.bool("force") {
		r.report("warning", err.Error())
		return failed(r.deleteDamaged(c.id))
	}
	if err != nil {
		return statusFailed, err
	}
	args := r.arguments(rec.Cgroups, c.arguments(nil, nil)...)
	s, err := lockState(stateDir(r.root, c.id), unix.LOCK_EX)
	if errors.Is(err, fs.ErrNotExist) {
		return r.become(args)
	}
	if err != nil {
		return statusFailed, err
	}
	if !ok {
		rec = record{ID: c.id, Runtime: r.backend.path}
	}
	if c.bool("force") && !r.isWhole(rec) {
		// A create that was killed has left it.
		err := r.forceDelete(rec)
		return failed(errors.Join(err, r.settle(s, c.id)))
	}
	child, err := r.startRuntime(args, false)
	if err != nil {
		return statusFailed, errors.Join(err, s.unlock())
	}
	status, err = child.wait()
	err = errors.Join(err, r.settle(s, c.id))
	if err != nil {
		return max(status, statusFailed), err
	}
	return status, nil
}

// deleteDamaged executes delete --force for a container whose record is damaged. The rest of its
// state says what the record did.
func (r *runtime) deleteDamaged(id string) error {
	s, err := lockState(stateDir(r.root, id), unix.LOCK_EX)
	if errors.Is(err, fs.ErrNotExist) { // deleted meanwhile
		return nil
	}
	if err != nil {
		return err
	}
	if err := r.useCreatorOf(id); err != nil {
		return errors.Join(err, s.unlock())
	}
	var config specs.Spec
	if text, err := os.ReadFile(s.path(configName)); err == nil {
		_ = json.Unmarshal(text, &config) // the file may be damaged, too
	}
	rec := record{ID: id}
	if config.Linux != nil {
		rec.Cgroups = cgroupsUsable(config.Linux.CgroupsPath, r.systemdCgroup)
	}
	if err := r.forceDelete(rec); err != nil {
		return errors.Join(err, s.unlock())
	}
	return r.settle(s, id)
}

// useCreatorOf makes the runtime that has created a container the backend: one of its kind, as
// only its own state says.
func (r *runtime) useCreatorOf(id string) error {
	for kind, file := range map[kind]string{crun: "status", runc: "state.json"} {
		if kind == r.backend.kind {
			continue
		}
		if _, err := os.Lstat(filepath.Join(r.root, id, file)); err != nil {
			continue
		}
		creator, err := findBackend(string(kind))
		if err != nil {
			return fmt.Errorf("container %s has been created by %s: %w", id, kind, err)
		}
		r.backend = creator
	}
	return nil
}

// failed returns the exit status for err, and err.
func failed(err error) (int, error) {
	if err != nil {
		return statusFailed, err
	}
	return 0, nil
}

// deleteMatching executes delete --regex, after which any container may be gone.
func (r *runtime) deleteMatching(c *command) (int, error) {
	child, err := r.startRuntime(r.arguments(false, c.arguments(nil, nil)...), false)
	if err != nil {
		return statusFailed, err
	}
	status, err := child.wait()
	if e := r.settleAll(); e != nil || err != nil {
		return max(status, statusFailed), errors.Join(err, e)
	}
	return status, nil
}

// settleAll calls settle for each container at which no other process is at work.
func (r *runtime) settleAll() error {
	entries, err := os.ReadDir(r.root + suffix)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err = nil
	for _, e := range entries {
		dir := r.root + suffix + "/" + e.Name()
		s, lockErr := lockState(dir, unix.LOCK_EX|unix.LOCK_NB)
		if lockErr != nil {
			continue // deleted, or another process will
		}
		rec, recErr := loadRecord(dir)
		if errors.Is(recErr, fs.ErrNotExist) {
			recErr = nil // of a create that was killed early
		}
		if recErr != nil || rec.ID == "" {
			err = errors.Join(err, recErr, s.unlock())
			continue
		}
		err = errors.Join(err, r.settle(s, rec.ID))
	}
	return err
}

// silently returns the command of the runtime for a container. Its errors do not appear in the
// log of the engine, which concerns the engine's own command.
func (r *runtime) silently(rec record, command ...string) *exec.Cmd {
	other := runtime{backend: r.backend}
	other.root, other.passed = r.root, r.passed
	return exec.Command(r.backend.path, other.arguments(rec.Cgroups, command...)...)
}

// isWhole reports whether the runtime can show the state of a container.
func (r *runtime) isWhole(rec record) bool {
	return r.silently(rec, "state", rec.ID).Run() == nil
}

// forceDelete makes the runtime delete a container, and removes what it leaves of one that is
// half-made.
func (r *runtime) forceDelete(rec record) error {
	if err := killOrphans(stateDir(r.root, rec.ID)); err != nil {
		return fmt.Errorf("ending the processes of container %s: %w", rec.ID, err)
	}
	cmd := r.silently(rec, "delete", "--force", rec.ID)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil { // what the runtime has started would go on
		return fmt.Errorf("cannot delete container %s: %w (install the runtime that has created it)", rec.ID, err)
	}
	if !r.exists(rec.ID) {
		return nil
	}
	if r.isWhole(rec) {
		return fmt.Errorf("cannot delete container %s: %w: %s", rec.ID, err, out)
	}
	return os.RemoveAll(r.root + "/" + rec.ID)
}
