package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// describe returns the heading of the table: what a reader must know to compare it with
// another one.
func describe(o options) (string, error) {
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("Linux %s, %s, %d CPUs; medians of alternating runs, %d for each row (%d for slow rows); in parentheses, the ratio to native.\n"+
		"Native runs in a one-id user namespace, where chown is to 0:0 and the archive belongs to root;\n"+
		"all other columns use ids of several users and groups, and the same archive.",
		strings.TrimSpace(string(kernel)), runtime.GOARCH, runtime.NumCPU(),
		o.rounds, roundsOf(row{slow: true}, o.rounds)), nil
}
