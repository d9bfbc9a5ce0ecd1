package main

import (
	"fmt"
	"os/exec"
)

// debianPackage maps each program that the harness runs to the packages that it needs.
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

// missing returns the first program that is not installed and how to install it, or "".
func missing(programs ...string) string {
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Sprintf("%s is not installed; apt-get install %s", program, debianPackage[program])
		}
	}
	return ""
}
