package test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// The results of real root are kept in the cache, in a directory for each script and a file for
// each state of what they depend on, so that several checkouts can use the cache in turn.

// maxCached is how many results of one script the cache keeps.
const maxCached = 8

// cached returns the content of the file of inputs in the directory dir. If there is none, it calls
// fresh and writes its result there, and removes the files that have not been used for longest.
func cached(dir, inputs string, fresh func() ([]byte, error)) ([]byte, error) {
	file := filepath.Join(dir, fmt.Sprintf("%x", sha256.Sum256([]byte(inputs))))
	output, err := os.ReadFile(file)
	if err == nil {
		now := time.Now()
		return output, os.Chtimes(file, now, now)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if output, err = fresh(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	// Renamed when complete, because the tests may run several times at once.
	f, err := os.CreateTemp(dir, "new-")
	if err != nil {
		return nil, err
	}
	_, err = f.Write(output)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, errors.Join(err, os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), file); err != nil {
		return nil, err
	}
	return output, pruneCache(dir)
}

// pruneCache removes all files from dir but the maxCached ones that have been used last.
func pruneCache(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var files []fs.FileInfo
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil { // otherwise another run has removed it
			files = append(files, info)
		}
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	for _, old := range files[min(maxCached, len(files)):] {
		if err := os.Remove(filepath.Join(dir, old.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func TestCached(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "script")
	calls := 0
	get := func(inputs string) {
		t.Helper()
		got, err := cached(dir, inputs, func() ([]byte, error) { calls++; return []byte("result of " + inputs), nil })
		if err != nil || string(got) != "result of "+inputs {
			t.Errorf("%s: %q, %v", inputs, got, err)
		}
	}
	for range 3 {
		get("one checkout")
		get("another")
	}
	if calls != 2 {
		t.Errorf("%d results were computed, want 2", calls)
	}
	for n := range 2 * maxCached {
		get(fmt.Sprint(n))
		get("another") // in use
	}
	if want := 2 + 2*maxCached; calls != want {
		t.Errorf("%d results were computed, want %d", calls, want)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != maxCached {
		t.Errorf("the cache keeps %d files (%v), want %d", len(files), err, maxCached)
	}
	failure := errors.New("no result")
	if _, err := cached(dir, "broken", func() ([]byte, error) { return nil, failure }); !errors.Is(err, failure) {
		t.Errorf("got %v", err)
	}
}
