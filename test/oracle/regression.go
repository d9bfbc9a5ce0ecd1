package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// keep writes a program that differs to dir, with comments about the difference, and
// returns the file's name.
func keep(dir, fs string, seed uint64, p program, difference string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Seed %d on %s.\n", seed, fs)
	for line := range strings.Lines(difference) {
		b.WriteString("# " + line)
	}
	b.WriteString(p.String())
	name := filepath.Join(dir, fmt.Sprintf("%s-%d.txt", fs, seed))
	return name, os.WriteFile(name, []byte(b.String()), 0o644)
}

// readProgram reads a regression file.
func readProgram(name string) (program, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return program{}, err
	}
	p, err := parse(string(b))
	if err != nil {
		return program{}, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}
