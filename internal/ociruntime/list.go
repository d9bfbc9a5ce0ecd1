package ociruntime

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strings"
)

// list executes the command list, and shows the engines' bundles instead of the adapted ones.
func (r *runtime) list(command []string) (int, error) {
	entries, err := os.ReadDir(r.root + suffix)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return statusFailed, err
	}
	if len(entries) == 0 {
		return r.become(r.arguments(true, command...))
	}
	cmd := exec.Command(r.backend.path, r.arguments(false, command...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	status := 0
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		status = exit.ExitCode()
	} else if err != nil {
		return statusFailed, err
	}
	text := string(out)
	for _, e := range entries {
		dir := r.root + suffix + "/" + e.Name()
		switch rec, err := loadRecord(dir); {
		case err == nil:
			text = replacePadded(text, dir, rec.Bundle)
		case !errors.Is(err, fs.ErrNotExist): // which a create has not written yet
			r.report("warning", err.Error())
		}
	}
	if _, err := os.Stdout.WriteString(text); err != nil {
		return statusFailed, err
	}
	return status, nil
}

// replacePadded replaces old by new in text. Where spaces follow, as in a table, it changes
// their number so that the next column stays in its place.
func replacePadded(text, old, new string) string {
	before, after, found := strings.Cut(text, old)
	if !found {
		return text
	}
	rest, padding := strings.TrimLeft(after, " "), ""
	if spaces := len(after) - len(rest); spaces > 0 {
		padding = strings.Repeat(" ", max(1, len(old)+spaces-len(new)))
	}
	return before + new + padding + replacePadded(rest, old, new)
}
