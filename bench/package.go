package main

import (
	"fmt"
	"os/exec"
)

// debianPackage tells, for each program that the harness runs, what to install.
var debianPackage = map[string]string{
	"bash":     "bash",
	"chroot":   "coreutils",
	"cp":       "coreutils",
	"fakeroot": "fakeroot",
	"find":     "findutils",
	"gcc":      "gcc libc6-dev",
	"git":      "git",
	"make":     "make",
	"proot":    "proot",
	"pseudo":   "pseudo",
	"tar":      "tar",
}

// missing names the first program that is not installed, and how to get it; it is empty when all are there.
func missing(programs ...string) string {
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Sprintf("no %s here, apt install %s", program, debianPackage[program])
		}
	}
	return ""
}
