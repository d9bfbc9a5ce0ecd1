package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// describe says what a reader must know to compare this table with another one.
func describe(o options) (string, error) {
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("Linux %s, %s, %d CPUs; medians of alternating runs, %d a row (slow rows %d); in brackets the ratio to native.\n"+
		"Native runs in a one-id user namespace, where chown is to 0:0 and the archive is root's;\n"+
		"every other column runs with ids of several users and groups, the same archive for all.",
		strings.TrimSpace(string(kernel)), runtime.GOARCH, runtime.NumCPU(),
		o.rounds, roundsOf(row{slow: true}, o.rounds)), nil
}
